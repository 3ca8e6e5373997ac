local function begin_leases_anew() -- the clock was set back: what was noted ahead of it would last that much longer
  call('HSET', meta, 'no_take_over_until', text(now + lease_us))
  call('HDEL', meta, 'locked_until')
  for _, one in ipairs(call('ZRANGEBYSCORE', alive, '(' .. text(now + lease_us), '+inf')) do
    call('ZADD', alive, text(now + lease_us), one)
  end
  local from = '-'
  while from do
    local pending = redis.pcall('XPENDING', stream, group, from, '+', 1000)
    for _, entry in ipairs(pending.err and {} or pending) do
      call('XCLAIM', stream, group, entry[2], 0, entry[1], 'JUSTID')
    end
    from = #pending == 1000 and '(' .. pending[1000][1]
  end
end
