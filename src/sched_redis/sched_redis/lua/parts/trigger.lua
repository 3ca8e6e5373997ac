local function load(packed) -- a trigger; nil for what is none
  local ok, item = pcall(cmsgpack.unpack, packed or '')
  return ok and type(item) == 'table' and item.id and item or nil
end
