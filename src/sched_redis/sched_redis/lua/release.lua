-- Frees a lock for who has it.
-- KEYS  lock, meta
-- ARGV  owner, name
-- Returns  1 if it was the owner's
local noted = redis.call('HGET', KEYS[2], ARGV[2])
if noted and string.match(noted, ' (.*)') == ARGV[1] then redis.call('HDEL', KEYS[2], ARGV[2]) end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
