-- Whether the step in hand may be committed: nothing if it may, else what stands against it.
local function version(of) -- of a row as the steps before left it; 0 for none
  local known = versions[of]
  if not known then
    known = seen[of] and tonumber(string.match(seen[of], '^%d+')) or 0
    versions[of] = known
  end
  return known
end

local function is_committed() -- before, as far back as the row, or who deleted it, remembers
  local head = string.match(seen[job] or '', '^[^\n]*')
  return string.find(head .. ' ', ' ' .. id .. ' ', 1, true) or not new and call('LPOS', gone, id)
end

local rows_are_locked = tonumber(known[2] or 0) > now
local function is_locked() -- by somebody whom it changed too fast for
  local lock = rows_are_locked and call('HGET', meta, 'row ' .. job)
  local ends, owner = string.match(lock or '', '^(%d+) (.*)')
  return owner and owner ~= replica and tonumber(ends) > now
end

-- include ours

local function verdict(others, send, done, lines) -- where each kind of pairs begins
  if expected == 0 and not seen[job] and call('LPOS', gone, id) then return 'done' end
  if version(job) ~= expected then return is_committed() and 'done' or 'changed' end
  for i = others + 1, send, 2 do
    if version(steps[i]) ~= steps[i + 1] then return 'changed' end
  end
  if now < not_before then return 'early' end
  local refused = done < lines and not_ours(done, lines) or {}
  if refused[1] then return 'not ours', refused end
  if is_locked() then return 'held' end
  for i = 1, lock_ms > 0 and (done - send) / 2 or 0 do
    local lock = KEYS[used + i]
    if not call('SET', lock, replica, 'NX', 'PX', lock_ms) and call('GET', lock) ~= replica then return 'held' end
  end
end
