-- Requests with the cookies of sessions, in turn. A right answer is a 200 whose body is the first letter of its session,
-- which the server says in X-Session. Arguments: the cookie's name, a file with one session a line.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  requests, wrong, answers, first_wrong = {}, 0, 0, ""
  for session in io.lines(args[2]) do
    table.insert(requests, wrk.format("GET", "/", {["Cookie"] = args[1] .. "=" .. session}))
  end
  turn = math.random(#requests)
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function response(status, headers, body)
  answers = answers + 1
  local session = headers["X-Session"] or ""
  if status == 200 and session ~= "" and session:sub(1, 1) == body then return end
  wrong = wrong + 1
  if first_wrong == "" then first_wrong = status .. " " .. session .. " " .. body:sub(1, 60):gsub("[^%w ]", ".") end
end

function done(summary)
  local all, bad, first = 0, 0, ""
  for _, thread in ipairs(threads) do
    all, bad = all + thread:get("answers"), bad + thread:get("wrong")
    if first == "" then first = thread:get("first_wrong") end
  end
  local errors = summary.errors
  print(string.format('{"answers": %d, "wrong": %d, "first": "%s", "connect": %d, "read": %d, "write": %d, "timeout": %d}',
                      all, bad, first, errors.connect, errors.read, errors.write, errors.timeout))
end
