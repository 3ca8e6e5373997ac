-- Makes this replica the owner of triggers that are nobody's: just read from the stream, waiting, parked by who does
-- not know their job, or left behind by an owner whose lease has run out.
-- KEYS  meta, stream, triggers, parked
-- ARGV  group, replica, lease_ms, how many to read from the stream as well (0: none), then per trigger its name, the
--       entry that was read (empty: it was not read but listed), and the token seen (0: nobody's)
-- Returns  {token, number, data, name} per claimed trigger, the entries that were no triggers, how many were looked at
-- include trigger

local meta, stream, triggers, parked = unpack(KEYS)
local call, group, replica, lease_ms = redis.call, ARGV[1], ARGV[2], ARGV[3]
local time, wanted, listed, strange = redis.call('TIME'), {}, {}, {}
local now = time[1] * 1000000 + time[2]
local known = call('HMGET', meta, 'newest', 'beat', 'no_take_over_until')
local newest, beat, since = tonumber(known[1] or 0), tonumber(known[2]), string.format('%.0f', now)
local may_take_over = beat and now - beat <= 4500000 and now >= tonumber(known[3] or 0)

local function want(name, id, token) wanted[#wanted + 1], listed[#listed + 1] = {name, id, token}, name end
for i = 5, #ARGV, 3 do want(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
local fresh = ARGV[4] ~= '0' and call('XREADGROUP', 'GROUP', group, replica, 'COUNT', ARGV[4], 'STREAMS', stream, '>')
for _, entry in ipairs(fresh and fresh[1][2] or {}) do want(entry[2][2], entry[1], '0') end

-- include hashes
-- include take
local known_as = read(triggers, listed)
for _, item in ipairs(wanted) do
  local name, id, token = unpack(item)
  local there = load(known_as[name])
  if id ~= '' and (not there or there.id ~= id) then -- no trigger, or offered anew under another id
    call('XACK', stream, group, id)
    local was_there = call('XDEL', stream, id) == 1 -- else its run ended after it was read
    if was_there and not there then strange[#strange + 1] = id .. ' ' .. name end
  elseif there and id ~= '' and there.replica ~= '' then -- taken by name: it is its owner's pending entry
    call('XCLAIM', stream, group, there.replica, 0, id, 'JUSTID')
  elseif there and there.token == token and take(name, id, there) then
    known_as[name] = own(name, there)
  end
end
write(taken, 'HSET', triggers)
if claimed[1] then call('HSET', meta, 'newest', string.format('%.0f', newest)) end
return {claimed, strange, #wanted}
