"""The delay queue's scripts. Each runs in Redis as one step, on the keys of one shard.

KEYS of all: the sorted set of due instants, the sorted set of leases, the mark up to which the shard is
filled. Members are passed to one command: Redis then notifies once, and not once per job.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final

#: A member of each set of due instants that is no job: a set that is empty does not exist, and could not be
#: told from one that was lost alone, evicted or deleted. It is due later than anything else can be.
KEEPER: Final = "keeper"
KEEPER_MS: Final = 2**53 - 1

#: How long after its job is due a lease runs out at the earliest.
BEYOND_DUE_MS: Final = 1_000

#: Jobs in one call: Lua hands on at most some 8,000 values.
MOST: Final = 1_000


@cache
def digest_of(script: str) -> str:
    """Return what Redis knows a script by once it has run it."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


# Puts the due instant of the first job into `head`: -1 where there is none.
_HEAD: Final = f"""
local head = -1
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if first[2] and first[1] ~= '{KEEPER}' then head = tonumber(first[2]) end
"""
# Puts the mark into `mark`: false where it, or the keeper, is gone.
_MARK: Final = f"""
local mark = redis.call('GET', KEYS[3])
if mark and not redis.call('ZSCORE', KEYS[1], '{KEEPER}') then mark = false end
"""

# Redis' own clock rules: replicas need not agree.
_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# ARGV: look-ahead ms, lease ms, limit. Returns: due of the new head (or -1), ms until the first lease runs
# out (or -1), whether the shard was filled, then per job its member and due instant (0: its lease ran out).
# A lease counts from now, also that of a job that is due later: when its worker dies, the job is not much
# later for it. But it does not run out before the job has been due for a while: it would come too early, and
# have to be renewed before it is fired.
CLAIM: Final = (
    _MARK
    + _NOW
    + f"""
local lease, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
local beyond = math.min(lease, {BEYOND_DUE_MS})
local out = {{-1, -1, mark and 1 or 0}}
local leases = {{}}
local lost = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, limit)
for i = 1, #lost do
  leases[#leases + 1] = now + lease
  leases[#leases + 1] = lost[i]
  out[#out + 1] = lost[i]
  out[#out + 1] = '0'
end
if #lost < limit then
  local gone = {{}}
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now + ARGV[1], 'WITHSCORES',
                         'LIMIT', 0, limit - #lost)
  for i = 1, #due, 2 do
    gone[#gone + 1] = due[i]
    leases[#leases + 1] = math.max(now + lease, due[i + 1] + beyond)
    leases[#leases + 1] = due[i]
    out[#out + 1] = due[i]
    out[#out + 1] = due[i + 1]
  end
  if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
end
if #leases > 0 then redis.call('ZADD', KEYS[2], unpack(leases)) end
"""
    + _HEAD
    + """
out[1] = head
local next = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if next[2] then out[2] = math.max(0, next[2] - now) end
return out
"""
)

# ARGV: lease ms, members. Prolongs the leases that there are: what was finished or scheduled again has none.
# That of a worker which has claimed the job meanwhile becomes longer, not shorter.
RENEW: Final = (
    _NOW
    + """
local leases = {}
for i = 2, #ARGV do
  leases[#leases + 1] = now + ARGV[1]
  leases[#leases + 1] = ARGV[i]
end
return redis.call('ZADD', KEYS[2], 'XX', 'GT', 'CH', unpack(leases))
"""
)

# ARGV: score and member of each job. Moves jobs that exist already, leased or not.
SCHEDULE: Final = """
local members = {}
for i = 2, #ARGV, 2 do members[#members + 1] = ARGV[i] end
redis.call('ZREM', KEYS[2], unpack(members))
return redis.call('ZADD', KEYS[1], unpack(ARGV))
"""

# ARGV: members.
REMOVE: Final = """
return redis.call('ZREM', KEYS[1], unpack(ARGV)) + redis.call('ZREM', KEYS[2], unpack(ARGV))
"""

# ARGV: score and member of each. Adds what is in neither set; returns how many that were.
ADD_MISSING: Final = """
local members, missing = {}, {}
for i = 2, #ARGV, 2 do members[#members + 1] = ARGV[i] end
local leases = redis.call('ZMSCORE', KEYS[2], unpack(members))
for i = 1, #members do
  if not leases[i] then
    missing[#missing + 1] = ARGV[2 * i - 1]
    missing[#missing + 1] = members[i]
  end
end
if #missing == 0 then return 0 end
return redis.call('ZADD', KEYS[1], 'NX', unpack(missing))
"""

# Returns: the mark, or nil.
FILLED: Final = _MARK + "return mark"

# ARGV: instant (ms), 1 to make a mark where there is none.
MARK: Final = (
    _MARK
    + f"""
if not mark and ARGV[2] == '0' then return 0 end
if not mark or tonumber(mark) < tonumber(ARGV[1]) then redis.call('SET', KEYS[3], ARGV[1]) end
if not mark then redis.call('ZADD', KEYS[1], '{KEEPER_MS}', '{KEEPER}') end
return 1
"""
)

# ARGV: score and member of each. A job whose lease was lost meanwhile belongs to another worker now.
POSTPONE: Final = """
local back = {}
for i = 1, #ARGV, 2 do
  if redis.call('ZREM', KEYS[2], ARGV[i + 1]) == 1 then
    back[#back + 1] = ARGV[i]
    back[#back + 1] = ARGV[i + 1]
  end
end
if #back == 0 then return 0 end
return redis.call('ZADD', KEYS[1], unpack(back))
"""

# Returns: waiting, leased, overdue by more than ARGV[1] ms, due of the head (or -1).
LOOK: Final = (
    _HEAD
    + _NOW
    + f"""
local waiting = redis.call('ZCARD', KEYS[1])
if redis.call('ZSCORE', KEYS[1], '{KEEPER}') then waiting = waiting - 1 end
return {{waiting, redis.call('ZCARD', KEYS[2]), redis.call('ZCOUNT', KEYS[1], '-inf', now - ARGV[1]), head}}
"""
)
