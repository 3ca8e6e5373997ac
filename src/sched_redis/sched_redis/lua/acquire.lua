-- Takes a lock, or keeps it for who has it. That of a row is noted where commit.lua looks.
-- KEYS  lock, meta
-- ARGV  owner, ttl_ms, name
-- Returns  1 if it is the owner's now
local call, owner, ttl_ms, name = redis.call, ARGV[1], ARGV[2], ARGV[3]
if not call('SET', KEYS[1], owner, 'NX', 'PX', ttl_ms) then
  if call('GET', KEYS[1]) ~= owner then return 0 end
  call('PEXPIRE', KEYS[1], ttl_ms)
end
if string.sub(name, 1, 4) == 'row ' then
  local time = call('TIME')
  local ends = time[1] * 1000000 + time[2] + ttl_ms * 1000
  local latest = math.max(ends, tonumber(call('HGET', KEYS[2], 'locked_until') or 0))
  call('HSET', KEYS[2], 'locked_until', string.format('%.0f', latest), name, string.format('%.0f ', ends) .. owner)
end
return 1
