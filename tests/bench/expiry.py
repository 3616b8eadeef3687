#!/usr/bin/python3
"""A million sessions expire at once while clients go on: p99.9 of requests before and during.

Opens the sessions through HTTP, reloads with a timeout that ends them all, and has wrk send requests before the master
collects and while it does. Printed, not judged: `LIMPET_BINARY=… expiry.py [sessions]`.
"""
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

from sessions import SessionLimpet  # noqa: E402
from waiting import wait_until  # noqa: E402

# Each thread opens sessions of its own, then asks for nothing any more. A few more than wanted: wrk tries its script out.
FILL = """
local threads = 0
function setup(thread) thread:set("name", threads) threads = threads + 1 end
function init() n = 0 end
function request()
  n = n + 1
  return wrk.format("GET", n <= {each} + 100 and "/?new=" .. name .. "-" .. n or "/status/sessions/clients")
end
"""
LOOK = """
function request() return wrk.format("GET", "/?id=0-" .. math.random(1, {each})) end
function done(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.status + summary.errors.timeout
  io.write(string.format("RESULT %d %d %d %d\\n", latency:percentile(50), latency:percentile(99.9), summary.requests, failed))
end
"""
GC_PERIOD = 14  # seconds from the reload to the collection: the measurement before it fits


def script(limpet, name, text, each):
    path = limpet.path(name)
    with open(path, "w") as out:
        out.write(text.replace("{each}", str(each)))
    return path


def wrk(limpet, lua, seconds, connections):
    return subprocess.Popen(["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "-s", lua, f"http://127.0.0.1:{limpet.port}"],
                            stdout=subprocess.PIPE, text=True)


def measured(load):
    output = load.communicate()[0]
    median, tail, requests, failed = map(int, re.search(r"RESULT (\d+) (\d+) (\d+) (\d+)", output).groups())
    return f"median {median / 1000:7.2f} ms   p99.9 {tail / 1000:7.2f} ms   {requests} requests, {failed} failed"


def main():
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with SessionLimpet(size="32m", more="timeout=1h gc_period=1h") as limpet:
        fill = wrk(limpet, script(limpet, "fill.lua", FILL, sessions // 2), 600, 64)
        wait_until(lambda: limpet.zone()["created"] >= sessions or time.sleep(0.2), "the sessions", 600)
        fill.terminate()
        fill.wait()
        look = script(limpet, "look.lua", LOOK, sessions // 2)
        limpet.change(more=f"timeout=1s gc_period={GC_PERIOD}s")
        begin = time.monotonic()
        print(f"{limpet.zone()['active']} sessions, all over", flush=True)
        time.sleep(1.2)
        print("before:", measured(wrk(limpet, look, 8, 16)))
        time.sleep(max(0, begin + GC_PERIOD - 1 - time.monotonic()))
        load = wrk(limpet, look, 3, 16)
        wait_until(lambda: limpet.zone()["active"] < sessions * 0.999, "the collection to begin", 60)
        first = time.monotonic()
        wait_until(lambda: limpet.zone()["active"] == 0, "the collection to end", 60)
        took = time.monotonic() - first
        print("during:", measured(load))
        print(f"collected in {took:.2f} s; {limpet.zone()['active']} left")


main()
