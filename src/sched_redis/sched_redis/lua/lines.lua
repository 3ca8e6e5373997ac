-- Looks through the lines of a job, newest first, for those that a question may be about: so that not all have to be
-- sent and decoded. What it cannot read is left to who asked.
-- KEYS  the lists of lines and of failures; behind the oldest line come failures that are older still
-- ARGV  list and place to begin at, the number of the line before that (empty: none), how many to look at, how many to
--       find, the number behind which nothing is looked for, the instants after and until which times lie (each may be
--       empty), and the statuses (none: all)
-- Returns  the lines found, list and place to go on at (list 0: that was all), the number of the last one
local list, place, last = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local left, wanted, oldest = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local after, till, statuses, found = tonumber(ARGV[7]), tonumber(ARGV[8]), {}, {}
for i = 9, #ARGV do statuses[ARGV[i]] = true end
local match, slice = string.match, 500

-- include line

local function look(lines) -- up to the last one, or the last one wanted; how many that were
  for i, line in ipairs(lines) do
    if may_match(line) and not is_read(line) then
      table.insert(found, line)
      if #found == wanted then return i end
    end
  end
  return #lines
end

while KEYS[list] and left > 0 and #found < wanted do
  local lines = redis.call('LRANGE', KEYS[list], place, place + slice - 1)
  local looked = look(lines)
  for i = looked, 1, -1 do -- lines are in order: what is behind this one is older
    if not is_read(lines[i]) then
      last = match(lines[i], '^%S+')
      before, part = number(last)
      break
    end
  end
  if oldest and before and before < oldest then return {found, 0, 0, last} end
  place, left = place + looked, left - looked
  if looked == #lines and #lines < slice then list, place = list + 1, 0 end
end
return {found, KEYS[list] and list or 0, place, last}
