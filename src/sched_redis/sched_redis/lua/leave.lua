-- Offers to all what a replica has read and never claimed: it is about to close its connection.
-- KEYS  stream, triggers
-- ARGV  group, replica
-- Returns  how many
-- include trigger

local stream, triggers = unpack(KEYS)
local call, group, offered = redis.call, ARGV[1], 0
local pending = redis.pcall('XPENDING', stream, group, '-', '+', 1000, ARGV[2])
if pending.err then return string.find(pending.err, 'NOGROUP', 1, true) and 0 or pending end
for _, entry in ipairs(pending) do
  local read = call('XRANGE', stream, entry[1], entry[1])[1]
  local there = load(read and call('HGET', triggers, read[2][2]))
  if there and there.id == entry[1] and there.replica == '' then
    call('XACK', stream, group, there.id)
    call('XDEL', stream, there.id)
    there.id = call('XADD', stream, '*', 'trigger', read[2][2])
    call('HSET', triggers, read[2][2], cmsgpack.pack(there))
    offered = offered + 1
  end
end
return offered
