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
  local fresh, to_send = {}, {}
  for i = 1, #sent, 2 do to_send[#to_send + 1] = sent[i] end
  local present = read(triggers, to_send)
  for i = 1, #sent, 2 do
    local name = sent[i]
    if not load(present[name]) then -- what is in the bus already stays as it is
      local id = call('XADD', stream, '*', 'trigger', name)
      present[name] = cmsgpack.pack({id = id, token = '0', replica = '', number = 1, data = sent[i + 1]})
      fresh[#fresh + 1] = name; fresh[#fresh + 1] = present[name]
      index[#index + 1] = 0; index[#index + 1] = name
    end
  end
  write(fresh, 'HSET', triggers); write(index, 'ZADD', held)
  call('HSET', meta, 'newest', string.format('%.0f', newest)) -- before what could fail and matters less
  if first then
    call('XADD', changes, 'MAXLEN', 64, '*', first, cmsgpack.pack(made))
    call('PEXPIRE', changes, 60000)
  end
end
