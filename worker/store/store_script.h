// What Redis runs for limpet: the one step in which a record is written if it is the newest.
#pragma once

#include <string_view>

#include "shm/store_state.h"

namespace limpet::worker {

// KEYS: the session's record, the zone's stream of changes.
// ARGV: the record, its life in milliseconds ("0": for ever), about how many changes the stream
// keeps, the session's key as the stream names it.
// Returns 1 if it was written, else the record that is there. Versions are compared byte by byte:
// Lua's own order of strings depends on the server's locale. A record that says what is there
// already is no news for other machines. It is never shortened by that, but lengthened, also by one
// that is not newer: the session has been used here or there. A record that is more than a day
// ahead of both the writer and the server is of a clock that was wrong: no machine believes it, and
// it gives way.
static_assert(shm::kMostAheadMs == 86'400'000);
inline constexpr std::string_view kPutScript = R"(local have = redis.call('GET', KEYS[1])
local new, life = ARGV[1], tonumber(ARGV[2])
local function made(record)
  local ms = 0
  for i = 1, 6 do ms = ms * 256 + (string.byte(record, i) or 0) end
  return ms
end
if have and made(have) > made(new) + 86400000
   and made(have) > redis.call('TIME')[1] * 1000 + 86400000 then
  have = false
end
local same = have and string.sub(have, 11) == string.sub(new, 11)
local rest = same and life > 0 and redis.call('PTTL', KEYS[1]) or 0
if have then
  for i = 1, 10 do
    local a, b = string.byte(new, i) or 0, string.byte(have, i) or 0
    if a > b then break end
    if a < b or i == 10 then
      if rest > 0 and rest < life then redis.call('PEXPIRE', KEYS[1], life) end
      return have
    end
  end
end
if life == 0 then
  redis.call('SET', KEYS[1], new)
else
  redis.call('SET', KEYS[1], new, 'PX', math.max(life, rest))
end
if not same then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'c', ARGV[4] .. new)
end
return 1)";

// As many changes as machines that were cut off can catch up with.
inline constexpr std::string_view kStreamLength = "131072";

}  // namespace limpet::worker
