-- For wrk: sends lines of a file in random order and looks at every answer.
-- Arguments: the path, and a file of lines `token<TAB>body`. Prints one line of JSON at the end.

local requests = {}
local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init(arguments)
    failures = 0
    first_failure = ""
    local path, file = arguments[1], arguments[2]
    for line in io.lines(file) do
        local token, body = line:match("^(.-)\t(.*)$")
        local headers = { ["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json" }
        table.insert(requests, wrk.format("POST", path, headers, body))
    end
    math.randomseed(os.time())
end

function request()
    return requests[math.random(#requests)]
end

-- A function's own error comes with status 200.
function response(status, headers, body)
    if status ~= 200 or not body:find('"status":"success"', 1, true) then
        failures = failures + 1
        if failures == 1 then first_failure = status .. " " .. body end
    end
end

function done(summary, latency, requests)
    local failures, first_failure = 0, ""
    for _, thread in ipairs(threads) do
        failures = failures + thread:get("failures")
        if first_failure == "" then first_failure = thread:get("first_failure") end
    end
    local errors = summary.errors
    local lost = errors.connect + errors.read + errors.write + errors.timeout
    io.stderr:write(first_failure:sub(1, 1000))
    print(string.format(
        '\n{"requests": %d, "microseconds": %d, "failures": %d, "lost": %d, "p50": %d, "p99": %d}',
        summary.requests, summary.duration, failures, lost, latency:percentile(50), latency:percentile(99)))
end
