-- Replaces the ranking. It counts as up to date only when `until` is set, by current.lua.
-- KEYS: state, ranking. ARGV: likes and member of the floor, then likes and member of each post.
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZADD', KEYS[2], '+inf', 'all')
for i = 3, #ARGV, 2 do
  redis.call('ZADD', KEYS[2], ARGV[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[1], 'until', 0, 'floor_likes', ARGV[1], 'floor_post', ARGV[2])
