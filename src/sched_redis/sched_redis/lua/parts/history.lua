local function append(first, lines, keep, lists, version) -- to the history; what is too old or too many is dropped
  for place = 1, 2 * lines, 2 do
    local line = version .. '.' .. place .. ' ' .. steps[first + place + 1]
    for i = 1, steps[first + place] and 2 or 1 do
      local list, most, age = KEYS[lists + i], steps[keep + i], steps[keep + 3]
      local length = call('LPUSH', list, line)
      if length > most then call('LTRIM', list, 0, most - 1) end
      local oldest = length > 1 and call('LINDEX', list, -1)
      while oldest and tonumber(string.match(oldest, '^%d+')) < now - age do
        call('RPOP', list)
        oldest = call('LINDEX', list, -1)
      end
    end
  end
  for i = 1, expected > 0 and (new or lines == 0) and 0 or 2 do -- of a job that is gone, until it is back
    if not new then call('PEXPIRE', KEYS[lists + i], math.ceil(steps[keep + 3] / 1000)) end
    if expected == 0 then call('PERSIST', KEYS[lists + i]) end
  end
end
