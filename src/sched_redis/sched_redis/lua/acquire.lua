-- Takes a lock, or keeps it for who has it.
-- KEYS  lock
-- ARGV  owner, ttl_ms
-- Returns  1 if it is the owner's now
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
