-- Whether a step may be committed: nothing if it may, else what stands against it.
local function version(job) return seen[job] and tonumber(string.match(seen[job], '^%d+')) or 0 end

local function is_committed(id, job, deleted) -- before, as far back as the row, or who deleted it, remembers
  local head = string.match(seen[job] or '', '^[^\n]*')
  return string.find(head .. ' ', ' ' .. id .. ' ', 1, true) or deleted and call('LPOS', gone, id)
end

local function is_locked(job) -- by somebody whom it changed too fast for
  local lock = rows_are_locked and call('HGET', meta, 'row ' .. job)
  local ends, owner = string.match(lock or '', '^(%d+) (.*)')
  return owner and owner ~= replica and tonumber(ends) > now
end

local function not_ours(done) -- the places of deliveries that are no longer this replica's
  local refused = {}
  for place, delivery in ipairs(done) do
    local name, token = delivery[1], string.format('%.0f', delivery[2])
    local item = there[name]
    if type(item) == 'string' then item = load(item) or false end
    there[name] = item
    if not item or item.token ~= token or item.replica ~= replica then refused[#refused + 1] = place end
  end
  return refused
end

local function verdict(id, deleted, not_before, expects, locks, done)
  if expects[1][2] == 0 and not seen[expects[1][1]] and call('LPOS', gone, id) then return 'done' end
  for i, expected in ipairs(expects) do
    local job = expected[1]
    if version(job) ~= expected[2] then
      return i == 1 and is_committed(id, job, deleted) and 'done' or 'changed'
    end
  end
  if now < not_before then return 'early' end
  local refused = not_ours(done)
  if refused[1] then return 'not ours', refused end
  if is_locked(expects[1][1]) then return 'held' end
  for i = 1, lock_ms > 0 and locks or 0 do
    local lock = KEYS[used + i]
    if not call('SET', lock, replica, 'NX', 'PX', lock_ms) and call('GET', lock) ~= replica then return 'held' end
  end
end
