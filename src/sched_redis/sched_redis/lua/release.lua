-- Frees a lock for who has it, and forgets that it was noted for a row; one that has run out is forgotten too.
-- KEYS  lock, meta
-- ARGV  owner, name
-- Returns  1 if it was the owner's
local call, owner, name = redis.call, ARGV[1], ARGV[2]
local noted = call('HGET', KEYS[2], name)
if noted and string.match(noted, '^%d+ (.*)') == owner then call('HDEL', KEYS[2], name) end
if call('GET', KEYS[1]) ~= owner then return 0 end
return call('DEL', KEYS[1])
