# Debian's cross compiler for arm64. It finds arm64's libraries (libssl-dev:arm64 and so on) where Debian puts them beside the
# machine's own. scripts/package --arch arm64 makes a Debian that has both, and uses the preset arm64 there.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(triplet aarch64-linux-gnu)
set(CMAKE_C_COMPILER ${triplet}-gcc)
set(CMAKE_CXX_COMPILER ${triplet}-g++)  # strip, objdump and the rest of the binutils go by its name

# Libraries and headers of arm64 only; programs and what has no architecture are the machine's.
set(CMAKE_LIBRARY_ARCHITECTURE ${triplet})
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/${triplet}/pkgconfig:/usr/share/pkgconfig)

# Tests run under qemu, where it is.
find_program(LIMPET_QEMU qemu-aarch64-static)
if(LIMPET_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${LIMPET_QEMU})
endif()

set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
