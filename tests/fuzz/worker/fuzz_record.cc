// What a session store holds: a key, or a record.
#include "tests/fuzz/fuzz.h"
#include "worker/store/record.h"

using namespace limpet::worker;

FUZZ_TARGET(record, input) {
  if (const auto key = DecodeKey(input)) {
    FUZZ_CHECK(Encode(*key) == input, "a key of other bytes");
    FUZZ_CHECK(StoreKey::Of(key->ToSessionKey()) == *key, "a key of no session");
  }
  const auto record = DecodeRecord(input);
  if (!record) return;
  FUZZ_CHECK(input.size() <= StoreRecord::kMaxSize, "a long record");
  FUZZ_CHECK(Encode(*record) == input, "a record of other bytes");
  FUZZ_CHECK(record->server.empty() == (record->kind == StoreRecord::Kind::kDeleted),
             "one that lives nowhere, or is deleted and lives");
}
