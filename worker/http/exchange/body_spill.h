// Where bytes of a response go that its client does not take yet, so that who makes them need not
// wait for it: the end of the chain of filters asks before it keeps them in memory.
#pragma once

#include <string_view>

namespace limpet::worker {

class BodySpill {
 public:
  virtual ~BodySpill() = default;
  virtual bool HasRoom() const = 0;  // the client takes nothing now, and more may wait for it
  // Queues them for the client behind what waits already; false: they are left to the caller.
  virtual bool Take(std::string_view bytes) = 0;
};

}  // namespace limpet::worker
