-- What the edge says itself: which pages may read an answer (CORS), where sockets open, and that what a sidecar answered in plain
-- text leaves as a problem document. The tables are written by mesh/cli/src/edge.rs.
local problems = {
  ${problems}
}
-- The most specific addresses come first; those of one shape differ by what a parameter takes.
local addresses = {
  ${addresses}
}
local origins = {
  ${origins}
}
local every_origin = ${every_origin}
local development = ${development}
-- Documents that every page may read, so that tools of others can load them.
local open = { ["/openapi.json"] = true, ["/openapi.json/"] = true }
local exposed = "Link, ETag, Location, Retry-After, X-Request-Id, X-Trace-Id"
local longest_list = 1000

local sockets = {}
for _, address in ipairs(addresses) do
  if address.socket and next(address.methods) == nil then table.insert(sockets, address.path) end
end

local function path_of(headers)
  return (headers:get(":path") or ""):match("^[^?#]*")
end

-- The methods of a path, and whether a socket opens there; nothing for a path that there is not.
local function find(path)
  local shape, methods, socket = nil, {}, false
  for _, address in ipairs(addresses) do
    if (shape == nil or shape == address.shape) and path:find(address.path) then
      shape = address.shape
      socket = socket or address.socket
      for method in pairs(address.methods) do methods[method] = true end
    end
  end
  if shape == nil then return nil end
  return methods, socket
end

local function list(methods)
  local names = {}
  for name in pairs(methods) do table.insert(names, name) end
  table.sort(names)
  return table.concat(names, ", ")
end

local function may_read(origin)
  if every_origin or origins[origin] then return true end
  if not development then return false end
  local host = origin:match("^https?://([^:/]+)$") or origin:match("^https?://([^:/]+):%d+$")
  return host == "localhost" or host == "127.0.0.1"
end

-- Answers in the place of a service. Headers are in `more`; nothing that a client sent is in the text.
local function say(handle, status, title, message, more)
  local body = ""
  more[":status"] = status
  if message then
    more["content-type"] = "application/problem+json"
    more["cache-control"] = "no-store"
    body = string.format('{"type":"about:blank","title":"%s","status":%s,"detail":"%s","message":"%s"}\n', title, status, message, message)
  end
  handle:streamInfo():dynamicMetadata():set("plaza", "said", true)
  handle:respond(more, body)
end

local function preflight(handle, headers, path, wanted, readable)
  local methods = find(path)
  if methods == nil then
    return say(handle, "404", "Not Found", "Nothing is served under this path.", {})
  end
  if not readable then
    return say(handle, "403", "Forbidden", "Pages of this origin may not use this API: ALLOWED_ORIGINS does not name it.", {})
  end
  if not methods[wanted] then
    return say(handle, "405", "Method Not Allowed", "This path does not have the method that the page asks for.", { allow = list(methods) })
  end
  local more = { ["access-control-allow-methods"] = list(methods), ["access-control-max-age"] = "600" }
  local names = headers:get("access-control-request-headers")
  if names then
    if #names > longest_list or names:find("[^%w!#$%%&'*+%-.^_`|~, ]") then
      return say(handle, "400", "Bad Request", "Access-Control-Request-Headers is no list of names, or too long.", {})
    end
    more["access-control-allow-headers"] = names
  end
  say(handle, "204", nil, nil, more)
end

local function is_for_sockets_alone(path)
  for _, pattern in ipairs(sockets) do
    if path:find(pattern) then return true end
  end
  return false
end

-- Envoy writes `Upgrade` only into the answer to a request that has it (RFC 9110, 15.5.22): this one goes no further.
local function ask_for_upgrade(handle, headers)
  local more = { ["sec-websocket-version"] = "13" }
  if handle:streamInfo():protocol() == "HTTP/1.1" then
    headers:replace("connection", "upgrade")
    headers:replace("upgrade", "websocket")
    more.connection, more.upgrade = "upgrade", "websocket"
  end
  say(handle, "426", "Upgrade Required", "Only a WebSocket is served here", more)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path, method, origin = path_of(headers), headers:get(":method"), headers:get("origin")
  if (headers:get(":authority") or ""):find(",", 1, true) then
    return say(handle, "400", "Bad Request", "The request names more than one host.", {})
  end
  local readable = open[path] or every_origin or (origin ~= nil and may_read(origin))
  if readable then
    local reader = (open[path] or every_origin) and "*" or origin
    handle:streamInfo():dynamicMetadata():set("plaza", "reader", reader)
  end
  local wanted = headers:get("access-control-request-method")
  if method == "OPTIONS" and origin and wanted then
    return preflight(handle, headers, path, wanted, readable)
  end
  -- What is no WebSocket was taken out by the listener.
  if headers:get("upgrade") then
    local methods, socket = find(path)
    if methods and not socket then
      say(handle, "400", "Bad Request", "No WebSocket is served at this address.", {})
    elseif socket and headers:get("sec-websocket-version") ~= "13" then
      ask_for_upgrade(handle, headers)
    end
  elseif method == "GET" and is_for_sockets_alone(path) then
    ask_for_upgrade(handle, headers)
  end
end

local function vary(headers, name)
  local before = headers:get("vary")
  if before == nil then
    headers:add("vary", name)
  elseif not before:lower():find(name:lower(), 1, true) then
    headers:replace("vary", before .. ", " .. name)
  end
end

-- The edge alone says who may read: never with cookies or other credentials of the browser.
local function share(handle, headers)
  local known = handle:streamInfo():dynamicMetadata():get("plaza")
  local reader = known and known.reader
  headers:remove("access-control-allow-origin")
  headers:remove("access-control-allow-credentials")
  if reader ~= "*" then vary(headers, "Origin") end
  if reader then
    headers:add("access-control-allow-origin", reader)
    headers:replace("access-control-expose-headers", exposed)
  end
end

local function explain(handle, headers)
  local problem = problems[headers:get(":status")]
  if problem == nil or headers:get("content-type") ~= "text/plain" then return end
  headers:replace("content-type", "application/problem+json")
  if problem.retry_after then headers:replace("retry-after", problem.retry_after) end
  local body = handle:body(true)
  headers:replace("content-length", tostring(body:setBytes(problem.body)))
end

function envoy_on_response(handle)
  local headers = handle:headers()
  if headers:get(":status") == "101" then return end
  share(handle, headers)
  explain(handle, headers)
end
