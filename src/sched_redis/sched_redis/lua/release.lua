-- Frees a lock for who has it.
-- KEYS  lock, meta
-- ARGV  owner, name
-- Returns  1 if it was the owner's
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[2])
return redis.call('DEL', KEYS[1])
