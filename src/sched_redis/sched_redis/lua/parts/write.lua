local function write_all() -- what was applied, in few commands
  local new_rows, dropped, index = {}, {}, {}
  for job in pairs(changed) do
    if seen[job] then
      new_rows[#new_rows + 1] = job; new_rows[#new_rows + 1] = seen[job]
    else
      dropped[#dropped + 1] = job
    end
  end
  write(new_rows, 'HSET', rows); write(new_names, 'ZADD', names)
  write(dropped, 'HDEL', rows); write(dropped, 'ZREM', names)
  write(ids, 'XACK', stream, group); write(ids, 'XDEL', stream)
  write(ended, 'HDEL', triggers); write(ended, 'ZREM', held)
  for i = 1, #sent, 2 do
    index[i], index[i + 1] = 0, sent[i]
    local id = call('XADD', stream, '*', 'trigger', sent[i])
    sent[i + 1] = cmsgpack.pack({id = id, token = '0', replica = '', number = 1, data = sent[i + 1]})
  end
  write(sent, 'HSET', triggers); write(index, 'ZADD', held)
  if first then
    call('XADD', changes, 'MAXLEN', 64, '*', first, cmsgpack.pack(made))
    call('PEXPIRE', changes, 60000)
  end
  call('HSET', meta, 'newest', string.format('%.0f', newest))
end
