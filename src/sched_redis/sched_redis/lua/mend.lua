-- Puts back into the stream what somebody removed from it, and who holds it into the group's pending list. What the
-- group would skip is offered anew.
-- KEYS  stream, triggers, parked
-- ARGV  group
-- Returns  how many were put back
local stream, triggers, parked = unpack(KEYS)
local call, group, mended = redis.call, ARGV[1], 0
local all = call('HGETALL', triggers)
local unread = {}
for _, info in ipairs(call('XINFO', 'GROUPS', stream)) do -- {"name", name, _, _, "pending", pending, _, last id, ...}
  if info[2] == group then unread = call('XRANGE', stream, '(' .. info[8], '+') end
end
for i, entry in ipairs(unread) do unread[entry[1]] = true; unread[i] = nil end

for i = 1, #all, 2 do
  local name, there = all[i], cmsgpack.unpack(all[i + 1])
  if call('SISMEMBER', parked, name) == 0 then
    local is_there = #call('XRANGE', stream, there.id, there.id) > 0
    local is_pending = #call('XPENDING', stream, group, there.id, there.id, 1) > 0
    if not is_there or not (is_pending or unread[there.id]) then
      if is_pending then call('XACK', stream, group, there.id) end
      call('XDEL', stream, there.id)
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
