-- Tries every command that the scripts and the client need, on keys of its own, which are gone a moment later.
-- KEYS  a hash, a sorted set, a list, a set, a string, a stream: all for this alone
-- Returns  the names of the commands that this user may not run
local hash, zset, list, set, text, stream = unpack(KEYS)
local refused = {}

local function try(...)
  local said = redis.pcall(...)
  local err = type(said) == 'table' and said.err or ''
  for _, sign in ipairs({'NOPERM', 'user executing the script', 'ACL failure'}) do
    if string.find(err, sign, 1, true) then
      table.insert(refused, string.lower(select(1, ...)))
      return
    end
  end
end

for _, command in ipairs({'HSET', 'HSETNX'}) do try(command, hash, 'a', '1') end
for _, command in ipairs({'HGET', 'HMGET', 'HDEL'}) do try(command, hash, 'a') end
for _, command in ipairs({'HGETALL', 'HLEN'}) do try(command, hash) end
try('ZADD', zset, 1, 'a')
try('ZSCORE', zset, 'a')
try('ZRANGE', zset, 0, -1)
try('ZRANGEBYLEX', zset, '-', '+')
try('ZRANGEBYSCORE', zset, '-inf', '+inf')
try('ZREM', zset, 'b')
try('LPUSH', list, 'a')
try('LRANGE', list, 0, -1)
try('LINDEX', list, 0)
try('LPOS', list, 'a')
try('LTRIM', list, 0, 9)
try('RPOP', list)
try('SADD', set, 'a')
try('SISMEMBER', set, 'a')
try('SMEMBERS', set)
try('SCARD', set)
try('SREM', set, 'b')
try('SET', text, 'a')
try('GET', text)
try('EXISTS', text)
try('PERSIST', text)
try('XGROUP', 'CREATE', stream, 'g', '0', 'MKSTREAM')
try('XADD', stream, '1-1', 'a', 'b')
try('XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', 1, 'STREAMS', stream, '>')
try('XPENDING', stream, 'g')
try('XCLAIM', stream, 'g', 'c', 0, '1-1')
try('XINFO', 'CONSUMERS', stream, 'g')
try('XINFO', 'GROUPS', stream)
try('XGROUP', 'DELCONSUMER', stream, 'g', 'c')
try('XRANGE', stream, '-', '+')
try('XLEN', stream)
try('XACK', stream, 'g', '1-1')
try('XDEL', stream, '1-1')
try('INFO', 'server')
try('TIME')
for _, key in ipairs(KEYS) do try('PEXPIRE', key, 1) end
return refused
