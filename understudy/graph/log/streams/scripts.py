"""Lua scripts, each of which Redis runs as one atomic step.

A log is four keys with one hash tag, so that a cluster stores them together:

- `about`: birth (random, drawn once), start (number of the last record that was trimmed), last, the
  link of the last record, and the bytes of all records so far;
- `records`: the stream. The id of an entry is the record's number;
- `sent`: process → sequence, first number and time of its last batch, by which a repeated batch is
  recognised, and a late one refused;
- `followers`: process → the number after which it needs records, and when it was last seen; the
  entry `snapshots` stands for processes that start from the newest snapshot of the store.

Every entry holds the SHA-256 of its record, and a link: SHA-1 over the previous link, the number
and that digest. So two processes with the same link have read the same records. It also holds the
bytes of all records before it, unless an older release appended it.
"""

# A process unseen for this long no longer holds records: long enough to be restarted.
FOLLOWER_MILLISECONDS = 600_000
SENT_MILLISECONDS = 3_600_000  # far longer than a batch is resent or in transit

OPEN = """
if ARGV[1] ~= '' and redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('HSET', KEYS[1], 'format', '1', 'birth', ARGV[1], 'first', ARGV[2],
        'start', ARGV[2], 'last', ARGV[2], 'link', ARGV[1])
end
return redis.call('HMGET', KEYS[1], 'format', 'birth', 'start', 'last', 'link', 'first')
"""

# A repeated batch increments a counter, since WAIT covers only writes of its own connection.
APPEND = """
local about, records, sent = KEYS[1], KEYS[2], KEYS[3]
local birth, process, sequence = ARGV[1], ARGV[2], tonumber(ARGV[3])
local known, link, exact = tonumber(ARGV[4]), ARGV[5], ARGV[6]
local found = redis.call('HMGET', about, 'birth', 'last', 'link', 'bytes')
if found[1] ~= birth then return {'gone', 0} end
local before = redis.call('HGET', sent, process)
if before then
    local number, first = string.match(before, '^(%d+) (%d+) ')
    if tonumber(number) == sequence then
        redis.call('HINCRBY', about, 'repeats', 1)
        return {'kept', tonumber(first)}
    end
    if tonumber(number) > sequence then return {'late', 0} end
end
local last, chain = tonumber(found[2]), found[3]
if last < known then return {'lost', last} end
local there = chain
if last > known then
    there = link
    local entry = redis.call('XRANGE', records, ARGV[4], ARGV[4])[1]
    if entry then
        for position = 1, #entry[2], 2 do
            if entry[2][position] == 'link' then there = entry[2][position + 1] end
        end
    end
end
if there ~= link then return {'forked', known} end
if exact == '1' and last > known then return {'moved', last} end
local first, bytes = last + 1, tonumber(found[4] or '0')
for position = 7, #ARGV, 4 do
    last = last + 1
    local number = string.format('%d', last)
    local digest = ARGV[position + 3]
    chain = redis.sha1hex(chain .. ':' .. number .. ':' .. digest)
    redis.call('XADD', records, number .. '-0', 'kind', ARGV[position], 'key', ARGV[position + 1],
        'payload', ARGV[position + 2], 'digest', digest, 'link', chain,
        'bytes', string.format('%d', bytes))
    bytes = bytes + #ARGV[position + 1] + #ARGV[position + 2]
end
local time = redis.call('TIME')
redis.call('HSET', about, 'last', string.format('%d', last), 'link', chain,
    'bytes', string.format('%d', bytes))
redis.call('HSET', sent, process, string.format('%d %d %d', sequence, first,
    time[1] * 1000 + math.floor(time[2] / 1000)))
return {'kept', first}
"""

# WAIT covers only writes of its own connection, but with one of them everything before it.
CONFIRM = """
if redis.call('HGET', KEYS[1], 'birth') ~= ARGV[1] then return 'gone' end
redis.call('HINCRBY', KEYS[1], 'repeats', 1)
return 'kept'
"""

# Numbers of another log must not count here: a process that follows a deleted log, and keeps
# running or restarting, would prevent trimming of the log in its place.
OF_THIS_LOG = """
local about, followers, birth = KEYS[1], KEYS[2], ARGV[1]
if birth ~= '' and redis.call('HGET', about, 'birth') ~= birth then return -1 end
"""

FOLLOW = f"""{OF_THIS_LOG}
local time = redis.call('TIME')
redis.call('HSET', followers, ARGV[2], string.format('%d %d', tonumber(ARGV[3]),
    time[1] * 1000 + math.floor(time[2] / 1000)))
return 1
"""

# Stored snapshots stay, so the number never decreases while a process with a store lives.
STORED = f"""{OF_THIS_LOG}
local time = redis.call('TIME')
local number = tonumber(ARGV[2])
local before = redis.call('HGET', followers, 'snapshots')
if before then number = math.max(number, tonumber(string.match(before, '^(%d+) '))) end
redis.call('HSET', followers, 'snapshots', string.format('%d %d', number,
    time[1] * 1000 + math.floor(time[2] / 1000)))
return number
"""

# One script instead of MULTI, because a full Redis refuses even the reads of MULTI. Entries are
# fetched a few at a time, since one may have megabytes and the answer is held in memory.
READ = """
local found = redis.call('HMGET', KEYS[1], 'format', 'birth', 'start', 'last', 'link')
local after, most, room = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local entries = {}
repeat
    local some = redis.call('XRANGE', KEYS[2], after, '+', 'COUNT', 8)
    for _, entry in ipairs(some) do
        entries[#entries + 1] = entry
        after = '(' .. entry[1]
        for position = 2, #entry[2], 2 do room = room - #entry[2][position] end
    end
until #some == 0 or #entries >= most or room <= 0
return {found, entries}
"""

# A follower counts as gone if it was not seen for long while another one was: after a jump of the
# server's clock, or while it is full and no process can report, all look alike. Before the snapshot
# the newest records stay, up to a number and a size. The caller's own needs and stored snapshot are
# written after the trimming, because a full Redis accepts no writes before; until then they are
# counted from the arguments.
TRIM = f"""
local about, records, sent, followers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local process, own, stored = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local base, most, room = tonumber(ARGV[2]), tonumber(ARGV[6]), tonumber(ARGV[7])
local found = redis.call('HMGET', about, 'birth', 'start', 'last', 'bytes')
if found[1] ~= ARGV[1] then return -1 end
local start, last = tonumber(found[2]), tonumber(found[3])
local function bytes_up_to(number)
    if number >= last then return tonumber(found[4] or '0') end
    local id = string.format('%d-0', number + 1)
    local entry = redis.call('XRANGE', records, id, id)[1]
    for position = 1, entry and #entry[2] or 0, 2 do
        if entry[2][position] == 'bytes' then return tonumber(entry[2][position + 1]) end
    end
    return 0
end
local low, high = math.max(base - most, start), base
local whole = bytes_up_to(base)
while low < high do
    local middle = math.floor((low + high) / 2)
    if whole - bytes_up_to(middle) > room then low = middle + 1 else high = middle end
end
local limit = math.min(low, own)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all = redis.call('HGETALL', followers)
local newest = 0
for position = 2, #all, 2 do
    local seen = tonumber(string.match(all[position], ' (%d+)$'))
    if seen <= now then newest = math.max(newest, seen) end
end
for position = 1, #all, 2 do
    local needed, seen = string.match(all[position + 1], '^(%d+) (%d+)$')
    if all[position] == process then
        needed, seen = own, newest
    elseif all[position] == 'snapshots' and stored then
        stored = math.max(stored, tonumber(needed))
        needed, seen = stored, newest
    end
    if newest - tonumber(seen) > {FOLLOWER_MILLISECONDS} then
        redis.call('HDEL', followers, all[position])
    else
        limit = math.min(limit, tonumber(needed))
    end
end
all = redis.call('HGETALL', sent)
for position = 1, #all, 2 do
    local seen = string.match(all[position + 1], ' (%d+)$')
    if now - tonumber(seen) > {SENT_MILLISECONDS} then
        redis.call('HDEL', sent, all[position])
    end
end
if limit > start then
    redis.call('XTRIM', records, 'MINID', string.format('%d-0', limit + 1))
    redis.call('HSET', about, 'start', string.format('%d', limit))
    start = limit
end
redis.pcall('HSET', followers, process, string.format('%d %d', own, now))
if stored then redis.pcall('HSET', followers, 'snapshots', string.format('%d %d', stored, now)) end
return start
"""
