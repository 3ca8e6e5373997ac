-- What a step changes: in memory, for the steps behind it; it is written at the end.
local changed, new_names, ids, ended, sent = {}, {}, {}, {}, {}
local first, made = nil, {} -- a version; job and content for it and for each that follows it

local function apply(id, job, new, send, done) -- returns the new version
  newest = math.max(newest + 1, now)
  local at, row = string.format('%.0f', newest), seen[job]
  changed[job], first = true, first or at
  made[#made + 1] = job; made[#made + 1] = new and #new > 1000 and '' or new -- a long one has to be read
  if new then
    if not row and job ~= '' then new_names[#new_names + 1] = 0; new_names[#new_names + 1] = job end
    seen[job] = at .. ' ' .. id .. (row and string.match(row, '^%d+( %S+)') or '') .. '\n' .. new
  else
    for made_by in string.gmatch(row and string.match(row, '^%d+( [^\n]*)') or '', '%S+') do
      call('LPUSH', gone, made_by)
    end
    call('LPUSH', gone, id); call('LTRIM', gone, 0, 99)
    seen[job] = false
  end
  for _, delivery in ipairs(done) do
    local name = delivery[1]
    ids[#ids + 1], ended[#ended + 1] = there[name].id, name
    there[name] = nil
  end
  for i = 1, #send do sent[#sent + 1] = send[i] end
  return at
end
