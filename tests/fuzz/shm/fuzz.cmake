limpet_fuzz(fuzz_snapshot SOURCES shm/fuzz_snapshot.cc DEPS limpet_shm)
