-- Reads rows with the names of their triggers.
-- KEYS  rows, names, held
-- ARGV  "jobs" and their names, or "page", the name to go on behind, and how many
-- Returns  {job, row as commit.lua wrote it, names of triggers} each
local rows, names, held = unpack(KEYS)
local call, jobs, found = redis.call, {}, {}
if ARGV[1] == 'page' then
  jobs = call('ZRANGEBYLEX', names, ARGV[2] == '' and '-' or '(' .. ARGV[2], '+', 'LIMIT', 0, ARGV[3])
else
  for i = 2, #ARGV do jobs[i - 1] = ARGV[i] end
end
local any = call('EXISTS', held) == 1
for i, job in ipairs(jobs) do
  local triggers = any and call('ZRANGEBYLEX', held, '[' .. job .. ' ', '(' .. job .. '!') or {}
  found[i] = {job, call('HGET', rows, job), triggers}
end
return found
