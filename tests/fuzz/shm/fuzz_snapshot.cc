// The snapshot loader, fed with anything: as it comes, and with its checksums made right.
#include <cstdlib>
#include <string>

#include "shm/snapshot.h"
#include "tests/shm/sign_snapshot.h"
#include "tests/shm/table_fixture.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace limpet::shm;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  for (int round = 0; round < 2; ++round) {
    TestTable t(SessionTable::kMinBytes);
    (void)Decode(bytes, &t.table, {t.now, 1'000'000, "boot"});
    if (!t.table.Check(t.now).empty()) std::abort();
    SignSnapshot(&bytes);
  }
  return 0;
}
