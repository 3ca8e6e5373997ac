-- Renews leases: a delivery's lease is the time that its entry may lie idle in the pending list.
-- KEYS  stream, triggers
-- ARGV  group, replica, then per delivery its name, its token and its note (empty: as it was)
-- Returns  per delivery 0 (somebody else's, or nobody's), 1 (this replica's) or 2 (its own, to be cancelled)
-- include trigger

local stream, triggers = unpack(KEYS)
local call, group, replica, answers = redis.call, ARGV[1], ARGV[2], {}
for i = 3, #ARGV, 3 do
  local name, token, note = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local there = load(call('HGET', triggers, name))
  if there and there.token == token and there.replica == replica then
    local kept = #call('XCLAIM', stream, group, replica, 0, there.id, 'FORCE', 'JUSTID') > 0
    if not kept then -- somebody removed the entry from the stream
      there.id = call('XADD', stream, '*', 'trigger', name)
      call('XCLAIM', stream, group, replica, 0, there.id, 'FORCE', 'JUSTID')
    end
    if not kept or (note ~= '' and note ~= there.note) then
      there.note = note ~= '' and note or there.note
      call('HSET', triggers, name, cmsgpack.pack(there))
    end
    table.insert(answers, there.cancel and 2 or 1)
  else
    table.insert(answers, 0)
  end
end
return answers
