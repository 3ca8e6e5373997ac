local function number(line) -- the two parts of it; nothing for what is no line
  local version, part = match(line, '^(%d+)%.(%d+)')
  return tonumber(version), tonumber(part)
end

local before, part = number(last)
local function is_read(line)
  local version, sub = number(line)
  return not version or before and (version > before or version == before and sub >= part)
end

local function may_match(line)
  if ARGV[9] and statuses[match(line, '"status":"([^"]*)"') or ARGV[9]] == nil then return false end
  if not after and not till then return true end
  local at = tonumber(match(line, '"scheduled_at":(-?%d+)'))
  if not at then return true end
  if till and at > till then return false end
  return not after or at > after or tonumber(match(line, '"last_at":(-?%d+)') or at) > after
end
