local function not_ours(first, last) -- the places of deliveries that are no longer this replica's
  local refused = {}
  for i = first + 1, last, 2 do
    local name = steps[i]
    local item = there[name]
    if type(item) == 'string' then item = load(item) or false end
    there[name] = item
    if not item or tonumber(item.token) ~= steps[i + 1] or item.replica ~= replica then
      refused[#refused + 1] = (i + 1 - first) / 2
    end
  end
  return refused
end
