-- Offers deliveries to all replicas again, under their number. What has been handed on too often by replicas that do
-- not know the job is parked instead.
-- KEYS  stream, triggers, parked
-- ARGV  group, replica, how often a trigger may be handed on (0: this is no handing on), then per delivery its name and
--       its token
-- Returns  how many were this replica's
-- include trigger

local stream, triggers, parked = unpack(KEYS)
local call, group, replica, most, given = redis.call, ARGV[1], ARGV[2], tonumber(ARGV[3]), 0
for i = 4, #ARGV, 2 do
  local name, token = ARGV[i], ARGV[i + 1]
  local there = load(call('HGET', triggers, name))
  if there and there.token == token and there.replica == replica then
    call('XACK', stream, group, there.id)
    call('XDEL', stream, there.id)
    there.handed_on = most > 0 and (there.handed_on or 0) + 1 or nil
    if there.handed_on and there.handed_on > most then
      there.id, there.handed_on = '', nil
      call('SADD', parked, name)
    else
      there.id = call('XADD', stream, '*', 'trigger', name)
    end
    there.token, there.replica, there.cancel, there.note = '0', '', nil, nil
    call('HSET', triggers, name, cmsgpack.pack(there))
    given = given + 1
  end
end
return given
