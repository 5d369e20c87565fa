-- Keeps a person's list, unless a later change is known of.
-- KEYS: the person. ARGV: life in ms, version, list.
local seen = redis.call('HGET', KEYS[1], 'version')
if not seen or tonumber(seen) <= tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'version', ARGV[2], 'list', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
