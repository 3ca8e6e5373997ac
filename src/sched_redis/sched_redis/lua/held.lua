-- Lists who holds what, page by page; without a group that is nobody.
-- KEYS  stream, triggers
-- ARGV  group, the entry to begin with, how many to look at
-- Returns  {token, number, data, replica, since_us, note} each, and where to go on (empty: that was all)
-- include trigger

local stream, triggers = unpack(KEYS)
local call, found = redis.call, {}
local pending = redis.pcall('XPENDING', stream, ARGV[1], ARGV[2], '+', ARGV[3])
if pending.err then return string.find(pending.err, 'NOGROUP', 1, true) and {found, ''} or pending end
for _, entry in ipairs(pending) do
  local read = call('XRANGE', stream, entry[1], entry[1])[1]
  local there = load(read and call('HGET', triggers, read[2][2]))
  if there and there.id == entry[1] and there.replica ~= '' then
    table.insert(found, {there.token, there.number, there.data, there.replica, there.since, there.note or ''})
  end
end
return {found, #pending == tonumber(ARGV[3]) and pending[#pending][1] or ''}
