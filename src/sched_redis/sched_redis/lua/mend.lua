-- Makes stream and group if they are not there, and puts back into the stream at once what it lacks: the names of the
-- unfinished triggers, and who holds them into the group's pending list. What the group would skip is offered anew.
-- KEYS  stream, triggers, parked
-- ARGV  group, 1 to look also if the group is there
-- Returns  how many were put back
-- include trigger

local stream, triggers, parked = unpack(KEYS)
local call, group, mended, unread = redis.call, ARGV[1], 0, {}
local made = redis.pcall('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
if made.err and ARGV[2] ~= '1' then return 0 end
for _, info in ipairs(call('XINFO', 'GROUPS', stream)) do -- {"name", name, _, _, "pending", pending, _, last id, ...}
  local entries = info[2] == group and call('XRANGE', stream, '(' .. info[8], '+') or {}
  for _, entry in ipairs(entries) do unread[entry[1]] = true end
end

local all = call('HGETALL', triggers)
for i = 1, #all, 2 do
  local name, there = all[i], load(all[i + 1])
  if there and call('SISMEMBER', parked, name) == 0 then
    local entry = call('XRANGE', stream, there.id, there.id)[1]
    local is_anothers = entry and entry[2][2] ~= name -- of a stream that was made anew within the same millisecond
    local is_pending = not is_anothers and #call('XPENDING', stream, group, there.id, there.id, 1) > 0
    if not entry or is_anothers or not (is_pending or unread[there.id]) then
      if is_pending then call('XACK', stream, group, there.id) end
      if not is_anothers then call('XDEL', stream, there.id) end
      there.id, is_pending = call('XADD', stream, '*', 'trigger', name), false
      call('HSET', triggers, name, cmsgpack.pack(there))
      mended = mended + 1
    end
    if there.replica ~= '' and not is_pending then
      call('XCLAIM', stream, group, there.replica, 0, there.id, 'FORCE', 'JUSTID')
    end
  end
end
return mended
