-- Leaves word for the holder's next renewal.
-- KEYS  triggers
-- ARGV  the trigger's name
-- Returns  1 if a replica holds it
local there = redis.call('HGET', KEYS[1], ARGV[1])
there = there and cmsgpack.unpack(there)
if not there or there.replica == '' then return 0 end
there.cancel = true
redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(there))
return 1
