local function append(runs, keep, at, lists) -- to the history; what is too old or too many is dropped
  for place = 1, #runs, 2 do
    local line = at .. '.' .. place .. ' ' .. runs[place + 1]
    for i = 1, runs[place] and 2 or 1 do
      local list = KEYS[lists + i]
      if call('LPUSH', list, line) > keep[i] then call('LTRIM', list, 0, keep[i] - 1) end
      local oldest = call('LINDEX', list, -1)
      while oldest and tonumber(string.match(oldest, '^%d+')) < now - keep[3] do
        call('RPOP', list)
        oldest = call('LINDEX', list, -1)
      end
    end
  end
end

local function set_expiry(lists, age, is_first) -- of the history of a job that is gone, until it is back
  for i = 1, 2 do
    if age then call('PEXPIRE', KEYS[lists + i], math.ceil(age / 1000)) end
    if is_first then call('PERSIST', KEYS[lists + i]) end
  end
end
