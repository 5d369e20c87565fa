-- Says up to when all changes are in here, unless something was lost meanwhile.
-- KEYS: state, ranking. ARGV: the time.
local state = redis.call('HMGET', KEYS[1], 'until', 'floor_likes')
if state[1] and state[2] and redis.call('ZSCORE', KEYS[2], 'all') then
  if tonumber(state[1]) < tonumber(ARGV[1]) then
    redis.call('HSET', KEYS[1], 'until', ARGV[1])
  end
end
