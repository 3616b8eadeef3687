#!/usr/bin/python3
"""Sessions that several machines share through Redis: what they cost. Printed, not judged, with the load of the machine.

`LIMPET_BINARY=… shared_sessions.py hit|instructions|miss|stopped|many|all [options]`. Needs redis-server; wrk for `hit`,
valgrind for `instructions`.
"""
import argparse
import glob
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
os.environ.setdefault("LIMPET_TEST_PATIENCE", "300")  # seconds: callgrind is slow, and so is a busy machine

from callgrind import counted, counting  # noqa: E402
from client import Connection, get  # noqa: E402
from daemon import BINARY, Limpet  # noqa: E402
from ports import free_port  # noqa: E402
from redis_server import RedisServer  # noqa: E402
from sessions import pipeline  # noqa: E402
from store_writer import InBackground, StoreWriter  # noqa: E402
from waiting import wait_until  # noqa: E402

ZONE = "clients"
TIMEOUT = 3600  # seconds
WAIT = 500      # milliseconds, of `stopped`: long enough to be told from a busy machine
SERVERS = """
worker_processes 1;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 1000000000;
    server { listen 127.0.0.1:{port}; location / { return 200 "<a>"; } }
    server { listen 127.0.0.1:{other}; location / { return 200 "<b>"; } }
}
"""
PROXY = """
{main}
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 1000000000;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    {stores}
    upstream app {
        zone app 256k;
        server 127.0.0.1:{a} {route_a};
        server 127.0.0.1:{b} {route_b};
        keepalive 64;
        keepalive_requests 1000000000;
        sticky learn create=$arg_new lookup=$arg_id zone={zone}:{size} timeout={timeout}s {store};
    }
    server {
        listen {port} backlog=1024;
        location / { proxy_pass http://app; }
        location /status/ { api /status/; }
    }
}
"""
STORE = """
    session_store shared {
        server 127.0.0.1:{redis};
        key_file {key};
        {limits}
    }
"""
LOOK = """
function init() turn = 0 end
function request() turn = turn % {count} + 1 return wrk.format("GET", "/?id=s" .. turn) end
function done(summary)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d\\n", summary.requests, errors.connect + errors.read + errors.status + errors.timeout))
end
"""


class Proxy(Limpet):
    def __init__(self, servers, redis=None, key=None, workers=1, size="4m", limits="", start=True, main=None,
                 route=False):
        values = {"a": servers.port, "b": servers.values["other"], "route_a": "", "route_b": ""}
        if route:
            values.update(route_a="route=a", route_b="route=b")
        stores = STORE.replace("{redis}", str(redis.port)).replace("{key}", key).replace("{limits}", limits) if redis else ""
        main = main or f"worker_processes {workers};"
        super().__init__(PROXY, start=start, main=main, stores=stores, zone=ZONE, size=size, timeout=TIMEOUT,
                         store="store=shared" if redis else "", **values)

    def known(self):
        return json.loads(get(self.port, f"/status/sessions/{ZONE}").text)["active"]

    def begin(self, ids):
        return dict(zip(ids, pipeline(self.port, [f"/?new={i}" for i in ids])))

    def knows(self, session):
        return get(self.port, f"/status/sessions/{ZONE}/{session}").status == 200

    def cpu(self):
        """Seconds of processor time of all its processes."""
        return sum(cpu_of(pid) for pid in (self.pid, *self.workers()))


def cpu_of(pid):
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path) as text:
            total += int(text.read().split()[0])
    return total / 1e9


def microseconds(seconds):
    return f"{seconds * 1e6:7.0f} µs"


def percentiles(times):
    times = sorted(times)
    return (f"p50 {microseconds(times[len(times) // 2])}   p99 {microseconds(times[len(times) * 99 // 100])}   "
            f"longest {microseconds(times[-1])}   of {len(times)}")


def timed(action):
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


class Bench:
    """The servers behind all, a key for all, a Redis between them."""

    def __init__(self, chosen):
        self.chosen = chosen
        self.key = tempfile.NamedTemporaryFile(prefix="limpet-bench-key-")
        self.key.write(os.urandom(32))
        self.key.flush()

    def __enter__(self):
        self.servers = Limpet(SERVERS, other=free_port())
        self.redis = RedisServer()
        return self

    def __exit__(self, *_):
        self.redis.stop()
        self.servers.__exit__(AssertionError)
        self.key.close()

    def proxy(self, shared=True, **how):
        return Proxy(self.servers, self.redis if shared else None, self.key.name if shared else None, route=self.chosen.route,
                     **how)

    def say(self, text):
        load = os.getloadavg()[0]
        print(f"{text}   (load {load:.1f} on {os.cpu_count()} processors)", flush=True)

    # What a hit costs

    def hit(self):
        sessions = [f"s{number}" for number in range(1, 1001)]
        with self.proxy(shared=False) as alone, self.proxy() as shared:
            for one in (alone, shared):
                one.begin(sessions)
            costs = {alone: [], shared: []}
            for _ in range(self.chosen.rounds):
                for one, of_one in costs.items():
                    of_one.append(self._cost(one, len(sessions)))
            medians = [statistics.median(of_one) for of_one in costs.values()]
            ratios = [with_store / without for without, with_store in zip(*costs.values())]
            self.say(f"hit: processor time of a request {microseconds(medians[0])} without store=, {microseconds(medians[1])} "
                     f"with it; ratio {medians[1] / medians[0]:.3f} of the medians, by round "
                     f"{min(ratios):.3f} … {max(ratios):.3f}, {self.chosen.rounds} rounds")

    def _cost(self, proxy, count):
        """Seconds of processor time of one request, master and worker."""
        script = proxy.path("look.lua")
        with open(script, "w") as out:
            out.write(LOOK.replace("{count}", str(count)))
        before = proxy.cpu()
        done = subprocess.run(["wrk", "-t1", "-c16", f"-d{self.chosen.seconds}s", "-s", script, f"http://127.0.0.1:{proxy.port}"],
                              capture_output=True, text=True, check=True)
        requests, failed = map(int, re.search(r"RESULT (\d+) (\d+)", done.stdout).groups())
        assert requests and not failed, done.stdout
        return (proxy.cpu() - before) / requests

    def instructions(self):
        """Of a hit; what goes on beside it, timers and the reading of changes, is counted by time and taken away."""
        found = [self._instructions(shared) for shared in (False, True)]
        (alone, alone_idle), (shared, shared_idle) = found
        self.say(f"hit: {alone:.0f} instructions without store=, {shared:.0f} with it; ratio {shared / alone:.4f}. "
                 f"A second of idleness: {alone_idle:.0f} and {shared_idle:.0f}")

    def _instructions(self, shared):
        requests = self.chosen.requests
        once, twice, idle = (self._counted(shared, *how) for how in ((requests, 0), (2 * requests, 0), (requests, 10)))
        by_second = (idle[0] - once[0]) / (idle[1] - once[1])
        return (twice[0] - once[0] - by_second * (twice[1] - once[1])) / requests, by_second

    def _counted(self, shared, requests, idle):
        """Instructions from start to end, and the seconds between."""
        self.redis("FLUSHALL")  # nothing to be told of: all begin alike
        with self.proxy(shared, start=False, main="master_process off;", limits="connect_timeout 60s;") as proxy:
            counts = proxy.path("callgrind.out")
            plain = proxy.command
            proxy.command = lambda *more: counting(plain(*more), counts)
            proxy.start()
            proxy.begin([f"s{number}" for number in range(50)])
            begin = time.monotonic()
            pipeline(proxy.port, [f"/?id=s{number % 50}" for number in range(requests)])
            time.sleep(idle)
            took = time.monotonic() - begin
            proxy.end()
            return counted(counts), took

    # What a miss costs

    def miss(self):
        count = self.chosen.misses
        names = [f"m{number}" for number in range(count)]
        with self.proxy() as first:
            self._begin_in_store(first, names)
            self.redis("DEL", f"limpet:{{{ZONE}}}:changes")  # the next one is not told of them, and must ask
            with self.proxy(limits="wait 1s;") as asking, Connection(asking.port) as connection, self.redis.client() as client:
                def look(name):
                    answer = connection.request(f"/?id={name}")
                    assert answer.status == 200, answer
                wait_until(lambda: look("probe") or self._is_asking(asking, look), "it to ask")
                found = [timed(lambda name=name: look(name)) for name in names]
                assert asking.known() >= count, f"{asking.known()} of {count} were found"
                for what, times in (
                        ("PING alone", [timed(lambda: client("PING")) for _ in names]),
                        ("hit", [timed(lambda name=name: look(name)) for name in names]),
                        ("miss, found in Redis", found),
                        ("miss, unknown to Redis", [timed(lambda name=name: look("unknown-" + name)) for name in names])):
                    self.say(f"{what:24} {percentiles(times)}")

    def _begin_in_store(self, proxy, names):
        wait_until(lambda: proxy.begin([f"first-{os.urandom(4).hex()}"]) and self.redis.sessions(ZONE), "a session in Redis")
        proxy.begin(names)
        wait_until(lambda: self.redis("DBSIZE") > len(names), "all of them in Redis")

    def _is_asking(self, proxy, look):
        """A question was asked: Redis has been told GET."""
        before = self._gets()
        look(f"probe-{os.urandom(4).hex()}")
        return self._gets() > before

    def _gets(self):
        lines = self.redis("INFO", "commandstats").decode()
        found = re.search(r"cmdstat_get:calls=(\d+)", lines)
        return int(found[1]) if found else 0

    def stopped(self):
        with self.proxy(limits=f"wait {WAIT}ms;") as proxy, Connection(proxy.port) as connection:
            def look(name):
                assert connection.request(f"/?id={name}").status == 200
            wait_until(lambda: self._is_asking(proxy, look), "it to ask")
            self.redis.pause()
            times = [timed(lambda number=number: look(f"away-{number}")) for number in range(1000)]
            self.redis.resume()
        waited = [taken for taken in times if taken >= WAIT / 1000]
        self.say(f"stopped: {len(waited)} of {len(times)} requests of one worker waited wait={WAIT}ms "
                 f"({', '.join(microseconds(taken).strip() for taken in waited[:5])}); all {percentiles(times)}")

    # Many sessions

    def many(self):
        room = (self.chosen.sessions + self.chosen.rate * self.chosen.minute) // 30_000  # a megabyte has 38,800 sessions
        with self.proxy(size=f"{room + 1}m") as reader, self.proxy() as writer:
            self._begin_in_store(writer, ["sample"])
            sample = self.redis("GET", self.redis.sessions(ZONE).pop())
            fast = StoreWriter(self.redis, ZONE, TIMEOUT * 1000 * 9 // 8, sample)
            wait_until(lambda: self._travel(writer, reader) < 1, "sessions to travel")
            before = self._memory()
            took = timed(lambda: fast.fill(self.chosen.sessions))
            self.say(f"many: {self.chosen.sessions} sessions written in {took:.1f} s, {self.chosen.sessions / took:.0f} a second")
            memory, stream, keys = (now - then for now, then in zip(self._memory(), before))
            self.say(f"memory: {memory / keys:.1f} bytes a session without the stream of changes, which has {stream >> 10} KiB; "
                     f"{(memory + stream) / keys:.1f} with it; {self.redis.info('used_memory_rss_human')} resident")
            wait_until(lambda: self._travel(writer, reader) < 1, "the other machine to have caught up", 600)
            self._minute(fast, reader, writer)

    def _memory(self):
        """Bytes without the stream, bytes of the stream, keys."""
        stream = self.redis("MEMORY", "USAGE", f"limpet:{{{ZONE}}}:changes", "SAMPLES", 0)
        return int(self.redis.info("used_memory")) - stream, stream, self.redis("DBSIZE")

    def _travel(self, begin, end):
        """Seconds from the answer that begins a session to when another machine's zone has it."""
        session = os.urandom(8).hex()
        assert get(begin.port, f"/?new={session}").status == 200
        return timed(lambda: wait_until(lambda: end.knows(session), "a session to travel", 60))

    def _minute(self, fast, reader, writer):
        known, keys, cpu = reader.known(), self.redis("DBSIZE"), (cpu_of(self.redis.process.pid), reader.cpu())
        written, travels = fast.written, []
        with InBackground(lambda: fast.write(self.chosen.rate, self.chosen.minute)) as load:
            while load.is_alive():
                travels.append(self._travel(writer, reader))
                time.sleep(0.05)
        written = fast.written - written
        expected = known + written + len(travels)
        try:
            wait_until(lambda: reader.known() >= expected, "the last changes", 30)
        except AssertionError:
            pass
        self.say(f"{written} new sessions in {load.result:.1f} s, {written / load.result:.0f} a second; processor time of Redis "
                 f"{(cpu_of(self.redis.process.pid) - cpu[0]) / load.result:.0%}, of the machine that reads the changes "
                 f"{(reader.cpu() - cpu[1]) / load.result:.0%}")
        self.say(f"lag: a session that began at one machine was in the other's zone after {percentiles(travels)}")
        missing = keys + written + len(travels) - self.redis("DBSIZE")
        self.say(f"lost: {missing} in Redis, {expected - reader.known()} at the machine that reads the changes")


def options():
    parser = argparse.ArgumentParser(description="what sessions cost that several machines share through Redis")
    parser.add_argument("what", choices=["hit", "instructions", "miss", "stopped", "many", "all"])
    parser.add_argument("--rounds", type=int, default=7, help="of hit")
    parser.add_argument("--seconds", type=int, default=3, help="of a round of hit")
    parser.add_argument("--requests", type=int, default=3000, help="of instructions")
    parser.add_argument("--misses", type=int, default=5000)
    parser.add_argument("--sessions", type=int, default=2_000_000, help="of many")
    parser.add_argument("--route", action="store_true", help="servers have short ids of their own, not the hash of their address")
    parser.add_argument("--rate", type=int, default=20_000, help="new ones a second, of many")
    parser.add_argument("--minute", type=int, default=60, metavar="SECONDS", help="so long, of many")
    return parser.parse_args()


def main():
    chosen = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # whoever ends it finds no server left
    assert os.path.exists(BINARY), BINARY
    wanted = ["hit", "instructions", "miss", "stopped", "many"] if chosen.what == "all" else [chosen.what]
    for what in wanted:
        with Bench(chosen) as bench:
            getattr(bench, what)()


main()
