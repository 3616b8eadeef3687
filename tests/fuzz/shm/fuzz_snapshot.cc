// The snapshot loader, fed with anything: as it comes, and with its checksums made right.
#include <string>

#include "shm/snapshot.h"
#include "tests/fuzz/fuzz.h"
#include "tests/shm/sign_snapshot.h"
#include "tests/shm/table_fixture.h"

FUZZ_TARGET(snapshot, input) {
  using namespace limpet::shm;
  std::string bytes(input);
  for (int round = 0; round < 2; ++round) {
    TestTable t(SessionTable::kMinBytes);
    (void)Decode(bytes, &t.table, {t.now, 1'000'000, "boot"});
    FUZZ_CHECK(t.table.Check(t.now).empty(), "the table is inconsistent");
    SignSnapshot(&bytes);
  }
}
