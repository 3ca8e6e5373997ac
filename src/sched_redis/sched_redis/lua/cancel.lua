-- Leaves word for the holder's next renewal.
-- KEYS  triggers
-- ARGV  the trigger's name
-- Returns  1 if a replica holds it
-- include trigger

local there = load(redis.call('HGET', KEYS[1], ARGV[1]))
if not there or there.replica == '' then return 0 end
there.cancel = true
redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(there))
return 1
