local function take(name, id, there) -- into this replica's pending list; whether it may
  if id ~= '' then return true end
  if there.replica ~= '' then
    there.number = there.number + 1
    return may_take_over and #call('XCLAIM', stream, group, replica, lease_ms, there.id, 'JUSTID') > 0
  end
  if call('SREM', parked, name) == 1 then there.id = call('XADD', stream, '*', 'trigger', name) end
  return #call('XCLAIM', stream, group, replica, 0, there.id, 'FORCE', 'JUSTID') > 0
end
