"""What happens inside Redis, each script as one step that nothing comes between.

A record is a hash: ``total`` paid, ``holder`` who may take it back, ``done`` answers that went out,
``replayed`` what was free, and where it was counted: ``counts`` (keys, one a line), ``usage`` (a key).
"""

from __future__ import annotations

from typing import Final

# KEYS: record, usage, clients, then the windows. ARGV: total, base, holder, seconds that the record is kept,
# rate, model, unit, client, the day's number, seconds that usage is kept, then limit and end for each window.
PAY: Final = """
local total, base = tonumber(ARGV[1]), tonumber(ARGV[2])
local known = redis.call('HMGET', KEYS[1], 'total', 'done')
local owed = math.max(0, total - math.max(base, tonumber(known[1]) or 0))
for i = 4, #KEYS do
  local limit = tonumber(ARGV[11 + 2 * (i - 4)])
  local used = tonumber(redis.call('GET', KEYS[i]) or '0')
  if owed > 0 and limit >= 0 and used + owed > limit then return {i - 4, used, owed} end
end
if (tonumber(known[2]) or 0) == 0 then redis.call('HSET', KEYS[1], 'holder', ARGV[3]) end
local paid = string.format('%.0f', math.max(total, tonumber(known[1]) or 0))
redis.call('HSET', KEYS[1], 'total', paid)
if owed > 0 or not known[1] then
  redis.call('HSET', KEYS[1], 'counts', table.concat(KEYS, '\\n', 4), 'usage', KEYS[2])
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
if owed == 0 then return false end
for i = 4, #KEYS do
  redis.call('INCRBY', KEYS[i], owed)
  redis.call('EXPIREAT', KEYS[i], ARGV[12 + 2 * (i - 4)])
end
redis.call('HINCRBY', KEYS[2], ARGV[7] .. ':' .. ARGV[6], owed)
redis.call('HINCRBY', KEYS[2], 'cost:' .. ARGV[6], string.format('%.0f', owed * tonumber(ARGV[5])))
redis.call('EXPIRE', KEYS[2], ARGV[10])
redis.call('ZADD', KEYS[3], ARGV[9], ARGV[8])
return false
"""

# KEYS: records. ARGV: seconds that each is kept from now on, then the model of each.
COMPLETE: Final = """
for i = 1, #KEYS do
  local usage = redis.call('HGET', KEYS[i], 'usage')
  if usage then
    if redis.call('HINCRBY', KEYS[i], 'done', 1) == 1 then
      redis.call('HINCRBY', usage, 'calls:' .. ARGV[i + 1], 1)
    end
    redis.call('EXPIRE', KEYS[i], ARGV[1])
  end
end
"""

# KEYS: record. ARGV: holder (empty: whoever), answers that may have gone out, rate, model, unit.
TAKE_BACK: Final = """
local known = redis.call('HMGET', KEYS[1], 'total', 'done', 'holder', 'counts', 'usage')
if not known[1] then return end
local done = tonumber(known[2]) or 0
if done ~= tonumber(ARGV[2]) or (ARGV[1] ~= '' and ARGV[1] ~= known[3]) then return end
local total = tonumber(known[1])
for key in string.gmatch(known[4], '[^\\n]+') do
  local used = tonumber(redis.call('GET', key) or '0')
  if used > 0 then redis.call('DECRBY', key, math.min(used, total)) end
end
redis.call('HINCRBY', known[5], ARGV[5] .. ':' .. ARGV[4], -total)
local cost = string.format('%.0f', total * tonumber(ARGV[3]))
if cost ~= '0' then redis.call('HINCRBY', known[5], 'cost:' .. ARGV[4], '-' .. cost) end
if done > 0 then redis.call('HINCRBY', known[5], 'calls:' .. ARGV[4], -1) end
redis.call('DEL', KEYS[1])
"""

# KEYS: record. ARGV: from where, what is free over the key's life.
REPLAY: Final = """
local known = redis.call('HMGET', KEYS[1], 'total', 'replayed')
local again = (tonumber(known[1]) or 0) - tonumber(ARGV[1])
if again <= 0 then return end
local replayed = (tonumber(known[2]) or 0) + again
if replayed <= tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'replayed', replayed)
else
  redis.call('HSET', KEYS[1], 'total', ARGV[1])
end
"""
