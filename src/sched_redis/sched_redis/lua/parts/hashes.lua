-- Many fields in few commands: Lua hands fewer than 8,000 values to one.
local function read(key, fields) -- a table by field
  local found = {}
  for i = 1, #fields, 4000 do
    local part = call('HMGET', key, unpack(fields, i, math.min(i + 3999, #fields)))
    for j, value in ipairs(part) do found[fields[i + j - 1]] = value end
  end
  return found
end

local function write(list, ...) -- a command with what is in the list behind it; none if that is empty
  local words = {...}
  for i = 1, #list, 4000 do
    local all = {unpack(words)}
    for j = i, math.min(i + 3999, #list) do all[#all + 1] = list[j] end
    call(unpack(all))
  end
end
