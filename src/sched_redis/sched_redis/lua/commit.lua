-- Commits steps in order, each whole or not at all; what they change is written at the end, in few commands.
-- KEYS  meta, rows, names, stream, triggers, held, gone, changes; then, as the steps call for them: a lock for each
--       trigger to send, and the lists of lines and of failures for a step that appends to the history or makes a row
-- ARGV  group, replica, lock_ms (0: somebody else's lock was taken), and as MessagePack {jobs whose rows are expected,
--       names of triggers that are done, steps}: one flat list, read faster than lists of lists; a step is id, job, data
--       (false: delete), not_before_us, version expected, how many pairs of each kind follow, lines, failures and age_us
--       to keep; job and version of other rows, name and trigger to send, name and token done, is_failure and line
-- Returns  now_us, {job, row} of the rows expected beside the steps' own, per step its new version or {verdict, row,
--          places of the refused deliveries}, and keys set aside; a row is "version id id\ndata", the steps that made it
local meta, rows, names, stream, triggers, held, gone, changes = unpack(KEYS, 1, 8)
local call, group, replica, lock_ms = redis.call, ARGV[1], ARGV[2], tonumber(ARGV[3])
local time, used, at, answers, beside, others = redis.call('TIME'), 8, 0, {}, {}, {}
local jobs, wanted, steps = unpack(cmsgpack.unpack(ARGV[4]))
local known = call('HMGET', meta, 'newest', 'locked_until')
local now, newest = time[1] * 1000000 + time[2], tonumber(known[1] or 0)
local id, job, new, not_before, expected -- of the step in hand, as all that is called below knows it
-- include hashes
local seen, there, versions = read(rows, jobs), read(triggers, wanted), {}
-- include trigger
-- include verdict
-- include history
-- include apply
-- include write
while at < #steps do
  local keep, first, rests, sends, dones, lines = at + 9, at + 12
  id, job, new, not_before, expected, rests, sends, dones, lines = unpack(steps, at + 1, keep)
  local send = first + 2 * rests
  local done = send + 2 * sends
  local line = done + 2 * dones
  at = line + 2 * lines
  local said, refused = verdict(first, send, done, line)
  local version = not said and apply(send, done, line)
  if version then append(line, lines, keep, used + sends, version) end
  answers[#answers + 1] = version or {said, seen[job], refused or {}}
  used = used + sends + ((expected == 0 or lines > 0) and 2 or 0)
  for i = first + 1, send, 2 do beside[steps[i]] = true end
end
write_all()
for other in pairs(beside) do others[#others + 1] = {other, seen[other]} end
return {string.format('%.0f', now), others, answers, aside}
