-- Commits steps in order, each whole or not at all.
-- KEYS  meta, versions, rows, names, stream, triggers, held, gone; then, as the steps call for them: a lock for
--       each trigger to send, and the lists of lines and of failures for a step that appends to the history
-- ARGV  group, replica, lock_ms (0: somebody else's lock was taken), the steps as fields that end in \31
-- Returns  now_us, the rows expected beside the steps' own as {job, version, data}, and per step its new version,
--          or {verdict, version, data, places of the refused deliveries}
local meta, versions, rows, names, stream, triggers, held, gone = unpack(KEYS)
local call, group, replica, lock_ms, used = redis.call, ARGV[1], ARGV[2], tonumber(ARGV[3]), 8
local field, time = string.gmatch(ARGV[4], '([^\31]*)\31'), redis.call('TIME')
local now, newest = time[1] * 1000000 + time[2], tonumber(call('HGET', meta, 'newest') or 0)
local seen, others, answers = {}, {}, {}

local function version(job) -- "version id id": which steps made the row what it is, the last two
  if seen[job] == nil then seen[job] = call('HGET', versions, job) or '0' end
  return string.match(seen[job], '^%d+')
end

local function each(width) -- the next fields, as a list of as many rows as their number says
  local list = {}
  for i = 1, tonumber(field()) do
    list[i] = {}
    for j = 1, width do list[i][j] = field() end
  end
  return list
end

local function verdict(step)
  for i, expected in ipairs(step.expects) do
    if version(expected[1]) ~= expected[2] then
      local again = i == 1 and (string.find(seen[step.job] .. ' ', ' ' .. step.id .. ' ', 1, true)
        or (expected[2] ~= '0' and seen[step.job] == '0' and call('LPOS', gone, step.id)))
      return again and 'done' or 'changed'
    end
  end
  if now < step.not_before then return 'early' end
  local refused = {}
  for i, delivery in ipairs(step.done) do
    local there = call('HGET', triggers, delivery[1])
    there = there and cmsgpack.unpack(there)
    if not there or there.token ~= delivery[2] or there.replica ~= replica then table.insert(refused, i) end
    delivery[3] = there and there.id
  end
  if refused[1] then return 'not ours', refused end
  for _, lock in ipairs(lock_ms > 0 and step.locks or {}) do
    if not call('SET', lock, replica, 'NX', 'PX', lock_ms) and call('GET', lock) ~= replica then return 'held' end
  end
end

local function append(step, at) -- to the history, what is too old or too many dropped
  for place, run in ipairs(step.runs) do
    local line = at .. '.' .. place .. ' ' .. run[2]
    for i = 1, run[1] == '1' and 2 or 1 do
      local list = step.lists[i]
      call('LPUSH', list, line)
      call('LTRIM', list, 0, step.keep[i] - 1)
      local oldest = call('LINDEX', list, -1)
      while oldest and tonumber(string.match(oldest, '^%d+')) < now - step.keep[3] do
        call('RPOP', list)
        oldest = call('LINDEX', list, -1)
      end
    end
  end
end

local function apply(step)
  newest = math.max(newest + 1, now)
  local at, before = string.format('%.0f', newest), seen[step.job]
  if step.data == '' then
    call('HDEL', versions, step.job); call('HDEL', rows, step.job); call('ZREM', names, step.job)
    call('LPUSH', gone, step.id); call('LTRIM', gone, 0, 99)
    seen[step.job] = '0'
  else
    if before == '0' and step.job ~= '' then call('ZADD', names, 0, step.job) end
    seen[step.job] = at .. ' ' .. step.id .. (string.match(before, ' %S+') or '')
    call('HSET', versions, step.job, seen[step.job]); call('HSET', rows, step.job, step.data)
  end
  for _, delivery in ipairs(step.done) do
    call('XACK', stream, group, delivery[3]); call('XDEL', stream, delivery[3])
    call('HDEL', triggers, delivery[1]); call('ZREM', held, delivery[1])
  end
  for _, trigger in ipairs(step.send) do
    local id = call('XADD', stream, '*', 'trigger', trigger[1])
    call('HSET', triggers, trigger[1], cmsgpack.pack({id = id, token = '0', replica = '', number = 1, data = trigger[2]}))
    call('ZADD', held, 0, trigger[1])
  end
  append(step, at)
  for _, list in ipairs(step.data == '' and step.lists or {}) do call('PEXPIRE', list, math.ceil(step.keep[3] / 1000)) end
  return at
end

local id = field()
while id do
  local step = {id = id, job = field(), data = field(), not_before = tonumber(field()), locks = {}, lists = {}}
  step.expects, step.send, step.done, step.runs = each(2), each(2), each(2), each(2)
  step.keep = {tonumber(field()), tonumber(field()), tonumber(field())}
  for i = 1, #step.send do step.locks[i] = KEYS[used + i] end
  used = used + #step.send
  if step.runs[1] then step.lists = {KEYS[used + 1], KEYS[used + 2]}; used = used + 2 end
  for i = 2, #step.expects do others[step.expects[i][1]] = true end
  local said, refused = verdict(step)
  if said then
    table.insert(answers, {said, version(step.job), call('HGET', rows, step.job), refused or {}})
  else
    table.insert(answers, apply(step))
  end
  id = field()
end
call('HSET', meta, 'newest', string.format('%.0f', newest))
local beside = {}
for job in pairs(others) do table.insert(beside, {job, version(job), call('HGET', rows, job)}) end
return {string.format('%.0f', now), beside, answers}
