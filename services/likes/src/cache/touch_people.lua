-- Forgets the lists of people that a change made old.
-- KEYS: one a person. ARGV: life in ms, then the version of each one's change.
for i, key in ipairs(KEYS) do
  local version = ARGV[i + 1]
  local seen = redis.call('HGET', key, 'version')
  if not seen or tonumber(seen) < tonumber(version) then
    redis.call('HDEL', key, 'list')
    redis.call('HSET', key, 'version', version)
    redis.call('PEXPIRE', key, ARGV[1])
  end
end
