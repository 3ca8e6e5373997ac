-- Makes stream and group, and puts back into them at once what was in them: the names of the unfinished triggers, and
-- who holds them into the group's pending list. Does nothing if the group is there.
-- KEYS  stream, triggers, parked
-- ARGV  group
-- Returns  how many were put back
local function load(packed) -- a trigger; nil for what is none
  local ok, item = pcall(cmsgpack.unpack, packed or '')
  return ok and type(item) == 'table' and item.id and item or nil
end

local stream, triggers, parked = unpack(KEYS)
local call, group, mended = redis.call, ARGV[1], 0
local made = redis.pcall('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
if made.err then return string.find(made.err, 'BUSYGROUP', 1, true) and 0 or made end
local all = call('HGETALL', triggers)
for i = 1, #all, 2 do
  local name, there = all[i], load(all[i + 1])
  if there and call('SISMEMBER', parked, name) == 0 then
    if #call('XRANGE', stream, there.id, there.id) == 0 then
      there.id = call('XADD', stream, '*', 'trigger', name)
      call('HSET', triggers, name, cmsgpack.pack(there))
      mended = mended + 1
    end
    if there.replica ~= '' then
      call('XCLAIM', stream, group, there.replica, 0, there.id, 'FORCE', 'JUSTID')
    end
  end
end
return mended
