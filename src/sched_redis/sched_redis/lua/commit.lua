-- Commits steps in order, each whole or not at all; what they change is written at the end, in few commands.
-- KEYS  meta, rows, names, stream, triggers, held, gone; then, as the steps call for them: a lock for
--       each trigger to send, and the lists of lines and of failures for a step that appends to the history, or
--       that makes a row where there was none
-- ARGV  group, replica, lock_ms (0: somebody else's lock was taken), the steps (MessagePack), each a list:
--       id, job, data (false: delete), not_before_us, {{job, version}, ...}, {name, trigger, ...} to send,
--       {{name, token}, ...} that are done, {is_failure, line, ...}, {lines, failures, age_us} to keep
-- Returns  now_us, {job, row} of the rows expected beside the steps' own, and per step its new version, or
--          {verdict, row, places of the refused deliveries}; a row is "version id id\ndata", the steps that made it
local meta, rows, names, stream, triggers, held, gone = unpack(KEYS, 1, 7)
local call, group, replica, lock_ms = redis.call, ARGV[1], ARGV[2], tonumber(ARGV[3])
local steps, time, used = cmsgpack.unpack(ARGV[4]), redis.call('TIME'), 7
local known = call('HMGET', meta, 'newest', 'locked_until')
local now, newest = time[1] * 1000000 + time[2], tonumber(known[1] or 0)
local rows_are_locked = tonumber(known[2] or 0) > now

local function read(key, fields) -- many fields of a hash
  local found = {}
  for i = 1, #fields, 4000 do
    local last = math.min(i + 3999, #fields)
    local part = call('HMGET', key, unpack(fields, i, last))
    for j = i, last do found[fields[j]] = part[j - i + 1] end
  end
  return found
end

local function write(list, ...) -- one command with all that is in the list, or as few as Lua can
  local words = {...}
  for i = 1, #list, 4000 do
    local all = {unpack(words)}
    for j = i, math.min(i + 3999, #list) do all[#all + 1] = list[j] end
    call(unpack(all))
  end
end

local jobs, wanted = {}, {}
for _, step in ipairs(steps) do
  for _, expected in ipairs(step[5]) do jobs[#jobs + 1] = expected[1] end
  for _, delivery in ipairs(step[7]) do wanted[#wanted + 1] = delivery[1] end
end
local seen, there = read(rows, jobs), read(triggers, wanted)
local changed, new_names, dropped = {}, {}, {}
local ids, ended, sent, index = {}, {}, {}, {}

local function version(job) return seen[job] and tonumber(string.match(seen[job], '^%d+')) or 0 end

local function is_locked(job) -- by somebody whom it changed too fast for
  local lock = rows_are_locked and call('HGET', meta, 'row ' .. job)
  local ends, owner = string.match(lock or '', '^(%d+) (.*)')
  return owner and owner ~= replica and tonumber(ends) > now
end

local function verdict(id, deleted, not_before, expects, locks, done)
  for i, expected in ipairs(expects) do
    local job = expected[1]
    if version(job) ~= expected[2] then
      local head = string.match(seen[job] or '', '^[^\n]*')
      local again = i == 1 and (string.find(head .. ' ', ' ' .. id .. ' ', 1, true)
        or (deleted and not seen[job] and call('LPOS', gone, id)))
      return again and 'done' or 'changed'
    end
  end
  if now < not_before then return 'early' end
  local refused = {}
  for i, delivery in ipairs(done) do
    local name, token = delivery[1], string.format('%.0f', delivery[2])
    local item = there[name]
    if type(item) == 'string' then item = cmsgpack.unpack(item); there[name] = item end
    if not item or item.token ~= token or item.replica ~= replica then refused[#refused + 1] = i end
  end
  if refused[1] then return 'not ours', refused end
  if is_locked(expects[1][1]) then return 'held' end
  for i = 1, lock_ms > 0 and locks or 0 do
    local lock = KEYS[used + i]
    if not call('SET', lock, replica, 'NX', 'PX', lock_ms) and call('GET', lock) ~= replica then return 'held' end
  end
end

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

local function apply(id, job, new, send, done)
  newest = math.max(newest + 1, now)
  local at = string.format('%.0f', newest)
  if new then
    if not seen[job] and job ~= '' then new_names[#new_names + 1] = 0; new_names[#new_names + 1] = job end
    seen[job] = at .. ' ' .. id .. (seen[job] and string.match(seen[job], '^%d+( %S+)') or '') .. '\n' .. new
  else
    seen[job] = false
    call('LPUSH', gone, id); call('LTRIM', gone, 0, 99)
  end
  changed[job] = true
  for _, delivery in ipairs(done) do
    local name = delivery[1]
    ids[#ids + 1], ended[#ended + 1] = there[name].id, name
    there[name] = nil
  end
  for i = 1, #send, 2 do sent[#sent + 1] = send[i]; sent[#sent + 1] = send[i + 1] end
  return at
end

local answers, others, beside = {}, {}, {}
for place, step in ipairs(steps) do
  local id, job, new, not_before, expects, send, done, runs, keep = unpack(step)
  local said, refused = verdict(id, not new, not_before, expects, #send / 2, done)
  local lists, is_first = used + #send / 2, expects[1][2] == 0
  local has_lists = is_first or runs[1] ~= nil
  if said then
    answers[place] = {said, seen[job], refused or {}}
  else
    answers[place] = apply(id, job, new, send, done)
    append(runs, keep, answers[place], lists)
    for i = 1, has_lists and 2 or 0 do
      if not new then call('PEXPIRE', KEYS[lists + i], math.ceil(keep[3] / 1000)) end
      if is_first then call('PERSIST', KEYS[lists + i]) end
    end
  end
  used = lists + (has_lists and 2 or 0)
  for i = 2, #expects do others[expects[i][1]] = true end
end

local new_rows = {}
for job in pairs(changed) do
  if seen[job] then
    new_rows[#new_rows + 1] = job; new_rows[#new_rows + 1] = seen[job]
  else
    dropped[#dropped + 1] = job
  end
end
write(new_rows, 'HSET', rows); write(new_names, 'ZADD', names)
write(dropped, 'HDEL', rows); write(dropped, 'ZREM', names)
write(ids, 'XACK', stream, group); write(ids, 'XDEL', stream)
write(ended, 'HDEL', triggers); write(ended, 'ZREM', held)
for i = 1, #sent, 2 do
  index[i], index[i + 1] = 0, sent[i]
  local id = call('XADD', stream, '*', 'trigger', sent[i])
  sent[i + 1] = cmsgpack.pack({id = id, token = '0', replica = '', number = 1, data = sent[i + 1]})
end
write(sent, 'HSET', triggers); write(index, 'ZADD', held)
call('HSET', meta, 'newest', string.format('%.0f', newest))
for job in pairs(others) do beside[#beside + 1] = {job, seen[job]} end
return {string.format('%.0f', now), beside, answers}
