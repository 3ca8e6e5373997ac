-- Lists what nobody works on: deliveries that were not renewed for a lease, what was read and never claimed, and the
-- names of what is parked because who read it did not know the job. Entries that are no triggers are dropped.
-- KEYS  meta, stream, triggers, parked
-- ARGV  group, lease_ms, the entry to begin with, how many to look at
-- Returns  {token, number, data} each, where to go on (empty: that was all), the names parked, and 1 if somebody
--          removed entries from the stream, or had the group skip them: mend.lua puts that right
-- include trigger

local meta, stream, triggers, parked = unpack(KEYS)
local call, group, found = redis.call, ARGV[1], {}
local time, known = call('TIME'), call('HMGET', meta, 'beat', 'no_take_over_until')
local now, beat = time[1] * 1000000 + time[2], tonumber(known[1])
local may_take_over = beat and now - beat <= 4500000 and now >= tonumber(known[2] or 0)

local pending = call('XPENDING', stream, group, 'IDLE', ARGV[2], ARGV[3], '+', ARGV[4])
for _, entry in ipairs(pending) do
  local id = entry[1]
  local read = call('XRANGE', stream, id, id)[1]
  local there = load(read and call('HGET', triggers, read[2][2]))
  if not there or there.id ~= id then
    call('XACK', stream, group, id)
    call('XDEL', stream, id)
  elseif there.replica == '' or may_take_over then
    table.insert(found, {there.token, there.number, there.data})
  end
end
local last = #pending == tonumber(ARGV[4]) and pending[#pending][1] or ''

local function is_harmed() -- each trigger that is not parked has one entry, and each entry is unread or pending
  local entries = call('XLEN', stream)
  if call('HLEN', triggers) > entries + call('SCARD', parked) then return true end
  for _, info in ipairs(call('XINFO', 'GROUPS', stream)) do -- {"name", name, _, _, "pending", pending, _, last id, ...}
    if info[2] == group and entries > info[6] then return not call('XRANGE', stream, '(' .. info[8], '+', 'COUNT', 1)[1] end
  end
end

return {found, last, call('SMEMBERS', parked), ARGV[3] == '-' and is_harmed() and 1 or 0}
