local function remove_consumers() -- of those that are gone and hold nothing; 1 if the group is missing
  local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
  if consumers.err then return 1 end
  for _, consumer in ipairs(consumers) do -- {"name", name, "pending", pending, ...}
    if consumer[4] == 0 and not call('ZSCORE', alive, consumer[2]) then
      call('XGROUP', 'DELCONSUMER', stream, group, consumer[2])
    end
  end
  return 0
end
