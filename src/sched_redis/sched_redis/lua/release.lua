-- Frees a lock for who has it.
-- KEYS  lock
-- ARGV  owner
-- Returns  1 if it was the owner's
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
