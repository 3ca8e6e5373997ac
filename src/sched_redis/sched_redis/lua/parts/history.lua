-- A key of another kind fails here, before anything is written.
call('XLEN', stream); call('HLEN', triggers); call('ZSCORE', held, '')
call('ZSCORE', names, ''); call('LINDEX', gone, 0); call('XLEN', changes)
local aside = {} -- what was no list where the history of a job belongs, each with its new name

local function push(list, line) -- returns how many there are then; no job's history stops the steps of others
  local length = redis.pcall('LPUSH', list, line)
  if type(length) == 'number' then return length end
  if string.find(length.err, 'WRONGTYPE', 1, true) then
    local base = string.sub(meta, 1, -5)
    local to = base .. 'aside:' .. string.sub(list, #base + 1)
    call('RENAME', list, to)
    aside[#aside + 1] = list; aside[#aside + 1] = to
  end
  return call('LPUSH', list, line)
end

local function append(first, lines, keep, lists, version) -- to the history; what is too old or too many is dropped
  for place = 1, 2 * lines, 2 do
    local line = version .. '.' .. place .. ' ' .. steps[first + place + 1]
    for i = 1, steps[first + place] and 2 or 1 do
      local list, most, age = KEYS[lists + i], steps[keep + i], steps[keep + 3]
      local length = push(list, line)
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
