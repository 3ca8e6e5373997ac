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

for _, words in ipairs({
  {'HSET', hash, 'a', '1'}, {'HSETNX', hash, 'a', '1'}, {'HGET', hash, 'a'}, {'HMGET', hash, 'a'}, {'HDEL', hash, 'a'},
  {'HGETALL', hash}, {'HLEN', hash}, {'ZADD', zset, 1, 'a'}, {'ZSCORE', zset, 'a'}, {'ZRANGE', zset, 0, -1},
  {'ZRANGEBYLEX', zset, '-', '+'}, {'ZRANGEBYSCORE', zset, '-inf', '+inf'}, {'ZREM', zset, 'b'}, {'LPUSH', list, 'a'},
  {'LRANGE', list, 0, -1}, {'LINDEX', list, 0}, {'LPOS', list, 'a'}, {'LTRIM', list, 0, 9}, {'RPOP', list},
  {'RENAME', list, list}, {'SADD', set, 'a'}, {'SISMEMBER', set, 'a'}, {'SMEMBERS', set}, {'SCARD', set},
  {'SREM', set, 'b'}, {'SET', text, 'a'}, {'GET', text}, {'EXISTS', text}, {'PERSIST', text},
  {'XGROUP', 'CREATE', stream, 'g', '0', 'MKSTREAM'}, {'XADD', stream, '1-1', 'a', 'b'},
  {'XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', 1, 'STREAMS', stream, '>'}, {'XPENDING', stream, 'g'},
  {'XCLAIM', stream, 'g', 'c', 0, '1-1'}, {'XINFO', 'CONSUMERS', stream, 'g'}, {'XINFO', 'GROUPS', stream},
  {'XGROUP', 'DELCONSUMER', stream, 'g', 'c'}, {'XRANGE', stream, '-', '+'}, {'XLEN', stream},
  {'XACK', stream, 'g', '1-1'}, {'XDEL', stream, '1-1'}, {'INFO', 'server'}, {'TIME'},
}) do try(unpack(words)) end
for _, key in ipairs(KEYS) do try('PEXPIRE', key, 1) end
return refused
