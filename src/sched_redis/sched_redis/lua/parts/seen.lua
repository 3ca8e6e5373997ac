-- What the steps concern, as it is.
local jobs, wanted = {}, {}
for _, step in ipairs(steps) do
  for _, expected in ipairs(step[5]) do jobs[#jobs + 1] = expected[1] end
  for _, delivery in ipairs(step[7]) do wanted[#wanted + 1] = delivery[1] end
end
local seen, there = read(rows, jobs), read(triggers, wanted)
