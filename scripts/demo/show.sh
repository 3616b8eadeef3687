# For demonstrations: sourced after lib.sh, never run. A directory and processes that go away at the end, and the words that
# say what happens. A step that does not show what it must ends the script with an error.
dir=$(mktemp -d /tmp/limpet-demo.XXXXXX)
chmod 755 "$dir"
pids=()
clean_up() {
  trap - EXIT INT TERM
  [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
  wait
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 0' INT TERM

free_port() {
  /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# wait_for SECONDS WHAT COMMAND…
wait_for() {
  local tries=$(($1 * 20)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || die "waited in vain for $what"
    sleep 0.05
  done
}

start_replica() {  # PORT; its process id is in $started
  /usr/bin/python3 -B -m uvicorn --app-dir "$root/scripts/demo" --host 127.0.0.1 --port "$1" \
    --log-level warning app:app >>"$dir/replicas.log" 2>&1 &
  started=$!
  pids+=("$started")
}

if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; else bold='' plain=''; fi
step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
ok() { printf '  ok: %s\n' "$*"; }
expect() {  # TEXT COMMAND…
  local text=$1
  shift
  "$@" || die "$text: not so"
  ok "$text"
}

header() { sed -n "s/^$1: \([^;]*\).*/\1/Ip" | tr -d '\r'; }

stay_up() {  # until Ctrl-C
  sleep infinity &
  pids+=($!)  # ends with the rest: a signal would not wake clean_up while it runs
  wait $!
}
