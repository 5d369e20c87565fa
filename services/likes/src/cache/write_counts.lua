-- Writes the likes of posts where nothing newer is known, and moves them in the ranking.
-- KEYS: state, ranking, one a post. ARGV: life in ms, size of the ranking, then member, likes, version of each post.
local life, size = ARGV[1], tonumber(ARGV[2])
local floor = redis.call('HMGET', KEYS[1], 'floor_likes', 'floor_post')
local whole = floor[1] and redis.call('ZSCORE', KEYS[2], 'all')
local floor_likes, floor_post = tonumber(floor[1] or 0), floor[2] or ''

for i = 3, #KEYS do
  local at = 3 * (i - 2)
  local post, likes, version = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local seen = redis.call('HGET', KEYS[i], 'version')
  -- The same version again heals a ranking that was rebuilt meanwhile.
  if not seen or tonumber(seen) <= tonumber(version) then
    redis.call('HSET', KEYS[i], 'likes', likes, 'version', version)
    redis.call('PEXPIRE', KEYS[i], life)
    if whole then
      local number = tonumber(likes)
      local above = number > floor_likes or (number == floor_likes and post >= floor_post)
      if number > 0 and above then
        redis.call('ZADD', KEYS[2], likes, post)
      else
        redis.call('ZREM', KEYS[2], post)
      end
    end
  end
end

-- Too many: the lowest go, and the floor rises to the lowest that stays.
if whole then
  local over = redis.call('ZCARD', KEYS[2]) - 1 - size
  if over * 5 > size then
    redis.call('ZREMRANGEBYRANK', KEYS[2], 0, over - 1)
    local lowest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
    redis.call('HSET', KEYS[1], 'floor_likes', lowest[2], 'floor_post', lowest[1])
  end
end
