local function take(name, id, there) -- into this replica's pending list; whether it may
  if id ~= '' then return true end
  if there.replica ~= '' then
    there.number = there.number + 1
    return may_take_over and #call('XCLAIM', stream, group, replica, lease_ms, there.id, 'JUSTID') > 0
  end
  if call('SREM', parked, name) == 1 then there.id = call('XADD', stream, '*', 'trigger', name) end
  return #call('XCLAIM', stream, group, replica, 0, there.id, 'FORCE', 'JUSTID') > 0
end

local taken, claimed = {}, {} -- what is to be written, and to be answered
local function own(name, there) -- under a new token; what is stored of it
  newest = math.max(newest + 1, now)
  there.token, there.replica, there.since = string.format('%.0f', newest), replica, since
  there.cancel, there.note = nil, nil
  local packed = cmsgpack.pack(there)
  taken[#taken + 1], taken[#taken + 2] = name, packed
  claimed[#claimed + 1] = {there.token, there.number, there.data, name}
  return packed
end
