local function put_back_names() -- somebody deleted or evicted that key, and nobody would find the jobs
  if call('EXISTS', names) == 1 or call('HLEN', rows) == 0 then return end
  local all = call('HGETALL', rows)
  for i = 1, #all, 2 do
    if all[i] ~= '' then call('ZADD', names, 0, all[i]) end
  end
end
