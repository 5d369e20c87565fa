-- Answers that a sidecar made (refused by an intention, application down) are plain text: they leave as problem documents too.
local problems = {
  ${problems}
}

function envoy_on_response(handle)
  local headers = handle:headers()
  local status = headers:get(":status")
  local problem = problems[status]
  if problem == nil then return end
  local kind = headers:get("content-type")
  if kind ~= "text/plain" then return end
  headers:replace("content-type", "application/problem+json")
  if problem.retry_after then headers:replace("retry-after", problem.retry_after) end
  local body = handle:body(true)
  headers:replace("content-length", tostring(body:setBytes(problem.body)))
end
