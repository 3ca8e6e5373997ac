-- What the step in hand changes: in memory, for the steps behind it; it is written at the end.
local changed, new_names, ids, ended, sent = {}, {}, {}, {}, {}
local first, made = nil, {} -- a version; job and content for it and for each that follows it

local function apply(send, done, lines) -- where its pairs begin; returns the new version
  newest = math.max(newest + 1, now)
  local as_text, row = string.format('%.0f', newest), seen[job]
  changed[job], first = true, first or as_text
  made[#made + 1] = job; made[#made + 1] = new and #new > 1000 and '' or new -- a long one has to be read
  if new then
    if not row and job ~= '' then new_names[#new_names + 1] = 0; new_names[#new_names + 1] = job end
    seen[job] = as_text .. ' ' .. id .. (row and string.match(row, '^%d+( %S+)') or '') .. '\n' .. new
    versions[job] = newest
  else
    for made_by in string.gmatch(row and string.match(row, '^%d+( [^\n]*)') or '', '%S+') do
      call('LPUSH', gone, made_by)
    end
    call('LPUSH', gone, id); call('LTRIM', gone, 0, 99)
    seen[job], versions[job] = false, 0
  end
  for i = done + 1, lines, 2 do
    local name = steps[i]
    ids[#ids + 1], ended[#ended + 1] = there[name].id, name
    there[name] = nil
  end
  for i = send + 1, done do sent[#sent + 1] = steps[i] end
  return as_text
end
