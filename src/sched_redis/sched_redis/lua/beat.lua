-- Notes that a replica lives, forgets who does not, and removes consumers of those that are gone and hold nothing.
-- If the server's clock was set back, it has all leases begin anew.
-- KEYS  meta, alive, facts, stream, rows, names
-- ARGV  group, replica, ttl_us (0: it leaves), its facts, an epoch in case that there is none
-- Returns  now_us, epoch, newest version or token, gap_us, the server's run id, the living, 1 if the group is missing
local meta, alive, facts, stream, rows, names = unpack(KEYS)
local lease_us, most_back_us = 10000000, 1000000
local call, group, replica, ttl = redis.call, ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local function text(instant) return string.format('%.0f', instant) end

-- include anew
-- include row_locks
-- include names
-- include consumers
call('HSETNX', meta, 'epoch', ARGV[5])
local known = call('HMGET', meta, 'epoch', 'newest', 'beat')
local gap = known[3] and now - tonumber(known[3]) or 0
if gap > 4500000 then call('HSET', meta, 'no_take_over_until', text(now + lease_us)) end
if gap < -most_back_us then begin_leases_anew() end
call('HSET', meta, 'beat', text(now))
if ttl > 0 then
  call('ZADD', alive, text(now + ttl), replica)
  call('HSET', facts, replica, text(now) .. ' ' .. ARGV[4])
else
  call('ZREM', alive, replica)
  call('HDEL', facts, replica)
end
for _, gone in ipairs(call('ZRANGEBYSCORE', alive, '-inf', text(now))) do
  call('ZREM', alive, gone)
  call('HDEL', facts, gone)
end
if tonumber(call('HGET', meta, 'locked_until') or now) < now then forget_row_locks() end
put_back_names()
local run_id = string.match(call('INFO', 'server'), 'run_id:(%w+)')
local living = call('ZRANGE', alive, 0, -1)
return {text(now), known[1], known[2] or '0', text(gap), run_id or '', living, remove_consumers()}
