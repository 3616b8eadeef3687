# For scripts/*: sourced, never run. Needs bash.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

BUILD_PACKAGES=(g++ cmake ninja-build pkg-config libfmt-dev libssl-dev libsodium-dev libboost-dev libevent-dev
                libpcre2-dev zlib1g-dev libc-ares-dev libnghttp2-dev libhiredis-dev libmaxminddb-dev libcjose-dev libjansson-dev node-llhttp nlohmann-json3-dev
                libgtest-dev libgmock-dev libbenchmark-dev python3)  # the presets configure the tests, too
DEMO_PACKAGES=(python3 python3-fastapi uvicorn python3-uvicorn curl)
SERVICES_OF_TESTS=(prometheus redis-server redis-sentinel)  # what tests start themselves
TEST_PACKAGES=(python3-jwt python3-cryptography libmaxmind-db-writer-perl python3-pytest python3-h2 nghttp2-client curl python3-yaml yamllint docker-compose groff-base openssl systemd wrk chromium prometheus
               python3-jsonschema iproute2 redis-server redis-sentinel php-cli python3-flask python3-tornado)
FUZZ_PACKAGES=(clang libclang-rt-dev llvm)  # llvm-symbolizer: names in reports
PACKAGE_PACKAGES=(dpkg-dev file gzip logrotate curl adduser)
PACKAGE_CHECK_PACKAGES=(lintian)
SYSTEMD_PACKAGES=(debootstrap systemd-container dpkg-dev)
IMAGE_PACKAGES=(debootstrap buildah curl)
CROSS_PACKAGES=(debootstrap)
CROSS_CHECK_PACKAGES=(qemu-user-static curl iproute2)  # in the Debian that debootstrap makes

# Runs an installation that starts no service of the tests. `sudo` is the caller's.
without_services() {
  local policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d} own= status=0
  if [ ! -e "$policy" ]; then
    own=yes
    printf '#!/bin/sh\ncase $1 in %s) exit 101 ;; esac\n' "$(IFS='|'; echo "${SERVICES_OF_TESTS[*]/%/*}")" |
      "${sudo[@]}" tee "$policy" >/dev/null
    "${sudo[@]}" chmod 755 "$policy"
  fi
  "$@" || status=$?
  [ -z "$own" ] || "${sudo[@]}" rm -f "$policy"
  return $status
}

# Installs those of the packages that are missing; asks for nothing when none is. Services of tests are neither started nor
# left to start with the machine.
install_packages() {
  local missing=() package service
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "these packages are missing and there is no sudo: ${missing[*]}"
    sudo=(sudo)
  fi
  say "installing ${missing[*]}"
  "${sudo[@]}" apt-get update -qq
  without_services "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
  command -v systemctl >/dev/null || return 0
  for service in "${SERVICES_OF_TESTS[@]}"; do
    case " ${missing[*]} " in *" $service "*) "${sudo[@]}" systemctl disable -q "$service" >&2 ;; esac
  done
}

# build PRESET [TARGET…]
build() {
  local preset=$1
  shift
  say "building ${*:-everything} (preset $preset); the first time takes some minutes"
  (cd "$root" && cmake --preset "$preset" >/dev/null && cmake --build --preset "$preset" -- "${@}") >&2
}

# The archive this machine's packages come from.
debian_mirror() {
  local found apt=${APT_CONFIG_DIR:-/etc/apt}
  found=$(cat "$apt"/sources.list "$apt"/sources.list.d/*.{list,sources} 2>/dev/null |
          awk '/^(URIs:|deb )/ { for (i = 2; i <= NF; i++) if ($i ~ /^https?:.*\/debian\/?$/) { print $i; exit } }')
  [ -n "$found" ] || die "no Debian archive is configured in $apt: name one there, as deb or URIs:, that ends in /debian"
  echo "$found"
}
