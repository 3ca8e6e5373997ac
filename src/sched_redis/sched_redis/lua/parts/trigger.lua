local function load(packed) -- a trigger; nil for what is none
  if not packed then return nil end
  local ok, item = pcall(cmsgpack.unpack, packed)
  return ok and type(item) == 'table' and item.id and item or nil
end
