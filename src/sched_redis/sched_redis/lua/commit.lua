-- Commits steps in order, each whole or not at all; what they change is written at the end, in few commands.
-- KEYS  meta, rows, names, stream, triggers, held, gone, changes; then, as the steps call for them: a lock for
--       each trigger to send, and the lists of lines and of failures for a step that appends to the history, or
--       that makes a row where there was none
-- ARGV  group, replica, lock_ms (0: somebody else's lock was taken), the steps (MessagePack), each a list:
--       id, job, data (false: delete), not_before_us, {{job, version}, ...}, {name, trigger, ...} to
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
-- include seen
-- include trigger
-- include verdict
-- include history
-- include apply
-- include write
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
    if has_lists then set_expiry(lists, not new and keep[3], is_first) end
  end
  used = lists + (has_lists and 2 or 0)
  for i = 2, #expects do others[expects[i][1]] = true end
end
write_all()
for job in pairs(others) do beside[#beside + 1] = {job, seen[job]} end
return {string.format('%.0f', now), beside, answers}
