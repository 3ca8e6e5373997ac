-- Commits steps in order, each whole or not at all; what they change is written at the end, in few commands.
-- KEYS  meta, rows, names, stream, triggers, held, gone, changes; then, as the steps call for them: a lock for
--       each trigger to send, and the lists of lines and of failures for a step that appends to the history, or
--       that makes a row where there was none
-- ARGV  group, replica, lock_ms (0: somebody else's lock was taken), the steps (MessagePack), each a list:
--       id, job, data (false: delete), its digest, not_before_us, {{job, version}, ...}, {name, trigger, ...} to
--       send, {{name, token}, ...} that are done, {is_failure, line, ...}, {lines, failures, age_us} to keep
-- Returns  now_us, {job, row} of the rows expected beside the steps' own, and per step its new version, or
--          {verdict, row, places of the refused deliveries}; a row is "version id id\ndata", the steps that made it
local meta, rows, names, stream, triggers, held, gone, changes = unpack(KEYS, 1, 8)
local call, group, replica, lock_ms = redis.call, ARGV[1], ARGV[2], tonumber(ARGV[3])
local steps, time, used = cmsgpack.unpack(ARGV[4]), redis.call('TIME'), 8
local known = call('HMGET', meta, 'newest', 'locked_until')
local now, newest = time[1] * 1000000 + time[2], tonumber(known[1] or 0)
local rows_are_locked = tonumber(known[2] or 0) > now

-- include hashes
local jobs, wanted = {}, {}
for _, step in ipairs(steps) do
  for _, expected in ipairs(step[6]) do jobs[#jobs + 1] = expected[1] end
  for _, delivery in ipairs(step[8]) do wanted[#wanted + 1] = delivery[1] end
end
local seen, there = read(rows, jobs), read(triggers, wanted)

-- include trigger
-- include verdict
-- include history
-- include apply
-- include write
local answers, others, beside = {}, {}, {}
for place, step in ipairs(steps) do
  local id, job, new, digest, not_before, expects, send, done, runs, keep = unpack(step)
  local said, refused = verdict(id, not new, not_before, expects, #send / 2, done)
  local lists, is_first = used + #send / 2, expects[1][2] == 0
  local has_lists = is_first or runs[1] ~= nil
  if said then
    answers[place] = {said, seen[job], refused or {}}
  else
    answers[place] = apply(id, job, new, digest, send, done)
    append(runs, keep, answers[place], lists)
    for i = 1, has_lists and 2 or 0 do
      if not new then call('PEXPIRE', KEYS[lists + i], math.ceil(keep[3] / 1000)) end
      if is_first then call('PERSIST', KEYS[lists + i]) end
    end
  end
  used = lists + (has_lists and 2 or 0)
  for i = 2, #expects do others[expects[i][1]] = true end
end
write_all()
for job in pairs(others) do beside[#beside + 1] = {job, seen[job]} end
return {string.format('%.0f', now), beside, answers}
