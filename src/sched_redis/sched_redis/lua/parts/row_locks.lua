local function forget_row_locks() -- nobody has one any more
  call('HDEL', meta, 'locked_until')
  local fields = call('HGETALL', meta)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 4) == 'row ' then call('HDEL', meta, fields[i]) end
  end
end
