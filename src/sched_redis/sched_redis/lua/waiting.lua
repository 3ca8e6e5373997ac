-- Lists triggers that nobody has, by name, in the order in which they were offered.
-- KEYS  triggers, held
-- ARGV  "names" and the names of triggers, or "jobs" and the names of jobs
-- Returns  {token, number, data} each
-- include trigger

local triggers, held = unpack(KEYS)
local found, names = {}, {}
for i = 2, #ARGV do
  if ARGV[1] == 'names' then
    table.insert(names, ARGV[i])
  else
    local range = redis.call('ZRANGEBYLEX', held, '[' .. ARGV[i] .. ' ', '(' .. ARGV[i] .. '!')
    for _, name in ipairs(range) do table.insert(names, name) end
  end
end
for _, name in ipairs(names) do
  local there = load(redis.call('HGET', triggers, name))
  if there and there.replica == '' then table.insert(found, there) end
end
local function number(id, part) return tonumber(string.match(id, part) or 0) end
table.sort(found, function(a, b)
  local left, right = number(a.id, '^%d+'), number(b.id, '^%d+')
  if left ~= right then return left < right end
  return number(a.id, '%d+$') < number(b.id, '%d+$')
end)
for i, there in ipairs(found) do found[i] = {there.token, there.number, there.data} end
return found
