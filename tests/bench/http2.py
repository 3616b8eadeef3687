#!/usr/bin/python3
"""Reverse proxies under h2load, in one run: processor time of a request, and memory under many streams.

Each proxy has one worker on one processor; h2load and the server behind (nginx, or limpet where that is missing) share
another. The figure is the processor time of the proxy's own processes: it does not depend on how fast the rest of the
machine is. Rounds are interleaved; medians are printed, and their ratio to the best peer's. `memory`: streams whose
upstream does not answer, as many as descriptors allow. `LIMPET_BINARY=… http2.py [options]`.
"""
import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

from daemon import BINARY  # noqa: E402
from peers import HELD, Peer, Places, Running, find  # noqa: E402
from ports import free_port  # noqa: E402
from surroundings import LOAD_CPU, PROXY_CPU, Back, Holder, prepare  # noqa: E402
from waiting import wait_until  # noqa: E402

TARGET = 0.9  # of the best peer's processor time


@dataclass
class Case:
    paths: tuple
    requests: int
    tls: bool = False
    connections: int = 8
    streams: int = 32


CASES = {
    "small": Case(("/small",), 100_000),
    "small-tls": Case(("/small",), 100_000, tls=True),
    "big": Case(("/big",), 2_000),
    "big-tls": Case(("/big",), 2_000, tls=True),
}
HOLDING = tuple(f"/{name}" for name in HELD)
MEMORY = {"memory": Case(HOLDING, 0, connections=1000, streams=20),
          "memory-tls": Case(HOLDING, 0, tls=True, connections=1000, streams=20)}


def h2load(case, at, requests):
    address = f"https://127.0.0.1:{at.tls}" if case.tls else f"http://127.0.0.1:{at.plain}"
    return ["taskset", "-c", str(LOAD_CPU), "h2load", "-n", str(requests), "-c", str(case.connections), "-m", str(case.streams),
            *(address + path for path in case.paths)]


def load(case, at, requests):
    """Requests of h2load, all of which must succeed; returns how many in a second."""
    said = subprocess.run(h2load(case, at, requests), capture_output=True, text=True, timeout=600).stdout
    succeeded, wrong = re.search(r"(\d+) succeeded", said), re.search(r"status codes: (\d+) 2xx", said)
    assert succeeded and wrong and int(succeeded[1]) == int(wrong[1]) == requests, said
    return float(re.search(r"([\d.]+) req/s", said)[1])


def time_of(case, at, proxy, scale):
    """Processor time of a request in microseconds, and requests in a second."""
    requests = int(case.requests * scale)
    load(case, at, max(case.connections * case.streams, requests // 10))
    before = proxy.seconds()
    rate = load(case, at, requests)
    return (proxy.seconds() - before) / requests * 1e6, rate


def memory_of(case, at, proxy, holder):
    """Bytes before the clients come, and while all their streams wait."""
    before, streams = proxy.memory(), case.connections * case.streams
    clients = subprocess.Popen(h2load(case, at, streams), stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: holder.held >= streams or clients.poll() is not None, f"{streams} streams", 120)
        assert clients.poll() is None, f"h2load ended when {holder.held} of {streams} streams were held"
        return before, proxy.memory()
    finally:
        clients.kill()
        clients.communicate()


class Comparison:
    def __init__(self, chosen, proxies, folder, back):
        self.chosen, self.proxies, self.folder, self.back = chosen, proxies, folder, back
        self.descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.missed = []

    def run(self, peer, measure, hold=0):
        at = Places(self.folder, self.back.port, hold or free_port(), free_port(), free_port(), self.descriptors)
        with Running(peer, at, PROXY_CPU) as proxy:
            return measure(at, proxy)

    def time(self, name):
        case, figures = CASES[name], {}
        for _ in range(self.chosen.rounds):
            for peer in self.proxies:
                figures.setdefault(peer.name, []).append(
                    self.run(peer, lambda at, proxy: time_of(case, at, proxy, self.chosen.scale)))
        print(f"\n{name}: {case.connections} connections of {case.streams} streams, {int(case.requests * self.chosen.scale)} requests")
        medians = {peer: [statistics.median(column) for column in zip(*rows)] for peer, rows in figures.items()}
        self.table(name, medians, TARGET, ("us/request", "requests/s"), (1, 1))

    def memory(self, name):
        case = MEMORY[name]
        # Nginx begins to close clients when a sixteenth of its connections is left.
        case.streams = min(case.streams, self.descriptors * 9 // 10 // case.connections - 1)
        figures = {}
        for peer in self.proxies:
            with Holder() as holder:
                before, held = self.run(peer, lambda at, proxy: memory_of(case, at, proxy, holder), holder.port)
            figures[peer.name] = [held / 1024, before / 1024, (held - before) / 1024 / case.connections / case.streams]
        print(f"\n{name}: {case.connections} connections of {case.streams} streams that wait for their upstream, "
              f"{self.descriptors} descriptors")
        self.table(name, figures, 1, ("KB", "KB before", "KB/stream"), (0, 0, 2))

    def table(self, name, figures, target, heads, digits):
        """Figures by proxy; the first of each is compared to the best peer's."""
        best = min((rows[0], peer) for peer, rows in figures.items() if peer not in self.ours()) if self.peers() else None
        print(f"  {'proxy':12}", *(f"{head:>12}" for head in heads), f"{'to the best':>12}" if best else "")
        for peer, rows in figures.items():
            ratio = rows[0] / best[0] if best else 0
            over = peer == "limpet" and best and ratio > target
            print(f"  {peer[-12:]:12}", *(f"{row:12.{places}f}" for row, places in zip(rows, digits)),
                  f"{ratio:12.2f}" if best else "", f"  more than {target} of {best[1]}'s" if over else "")
            if over:
                self.missed.append(name)
        sys.stdout.flush()

    def ours(self):
        return [peer.name for peer in self.proxies if peer.kind == "limpet"]

    def peers(self):
        return [peer for peer in self.proxies if peer.kind != "limpet"]


def options():
    parser = argparse.ArgumentParser(description="processor time and memory of HTTP/2, beside other proxies'")
    parser.add_argument("--nginx", metavar="BINARY", help="instead of the one in PATH, which must be new enough")
    parser.add_argument("--compare", metavar="BINARY", action="append", default=[], help="another limpet")
    parser.add_argument("--case", action="append", choices=[*CASES, *MEMORY], help="only this one (again for others)")
    parser.add_argument("--only", metavar="NAME", action="append", help="only this proxy (again for others)")
    parser.add_argument("--rounds", metavar="N", type=int, default=3)
    parser.add_argument("--scale", metavar="X", type=float, default=1, help="so many times the requests")
    return parser.parse_args()


def main():
    chosen = options()
    peers, missing = find(chosen.nginx)
    proxies = [Peer("limpet", os.path.abspath(BINARY), "limpet"),
               *(Peer(binary, os.path.abspath(binary), "limpet") for binary in chosen.compare), *peers]
    proxies = [peer for peer in proxies if not chosen.only or peer.name in chosen.only]
    print("beside each other:", ", ".join(f"{peer.name} {peer.version()}" for peer in proxies))
    if missing:
        print("not installed, so left out:", ", ".join(missing))
    back = next((peer.binary for peer in peers if peer.kind == "nginx"), os.path.abspath(BINARY))
    with tempfile.TemporaryDirectory(prefix="limpet-bench-") as folder:
        os.chmod(folder, 0o755)  # workers of root's are somebody else
        prepare(folder)
        with Back(back, folder, resource.getrlimit(resource.RLIMIT_NOFILE)[1]) as server:
            comparison = Comparison(chosen, proxies, folder, server)
            for name in chosen.case or [*CASES, *MEMORY]:
                (comparison.time if name in CASES else comparison.memory)(name)
    if comparison.missed:
        print("\nabove the target:", ", ".join(comparison.missed))


main()
