#!/usr/bin/python3
"""How long answers take under an open load, in one run: limpet beside nginx, HAProxy and a bare relay that parses nothing.

Requests are due at random times at a fixed rate, and a latency counts from when its request was due: a proxy that falls behind
is not spared those that it keeps waiting. `own`: each proxy has 70 % of the requests a second that its one worker can answer
(its processor time under a closed load says so); `same`: all have 70 % of what the slowest can. One worker on one processor;
the load and the server behind share another. "late" is the 99th percentile of how late the load itself sent a request.
`LIMPET_BINARY=… latency.py [options]`.
"""
import contextlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

from generator import measured  # noqa: E402
from side_by_side import SideBySide, median, options  # noqa: E402

TOO_LONG = 2_000  # microseconds: what the relay never takes on a machine that has nothing else to do
CASES = {"own": "of what each can do", "same": "of what the slowest can do"}


class Bench:
    def __init__(self, chosen, bench):
        self.chosen, self.bench = chosen, bench

    def run(self):
        with contextlib.ExitStack() as stack:
            proxies = {peer.name: stack.enter_context(self.bench.running(peer)) for peer in self.bench.proxies}
            can = self.capacities(proxies)
            slowest = min(rate for name, rate in can.items() if name != "relay")
            rates = {"own": {name: self.chosen.share * rate for name, rate in can.items()},
                     "same": {name: self.chosen.share * slowest for name in can}}
            rounds = {name: {} for name in self.chosen.case or CASES}
            for _ in range(self.chosen.rounds):
                for name, rows in rounds.items():
                    for peer, proxy in proxies.items():
                        rows.setdefault(peer, []).append(self.measure(proxy, rates[name][peer]))
        for name, rows in rounds.items():
            self.table(name, rows)

    def capacities(self, proxies):
        """Requests a second of a worker that has nothing to wait for."""
        rounds = {}
        for _ in range(3):
            for name, proxy in proxies.items():
                rounds.setdefault(name, []).append(self.measure(proxy, None))
        return {name: 1e6 / median(rows, "us") for name, rows in rounds.items()}

    def measure(self, proxy, rate):
        return measured(proxy, proxy.at.plain, path="/small", connections=self.chosen.connections, warm=1,
                        seconds=self.chosen.seconds if rate else 2, rate=rate)

    def table(self, name, rounds):
        best = {key: rounds.get(self.bench.best(rounds, key)) for key in ("p99", "p999")}
        columns = {"requests/s": ("rate", 0), "busy": ("busy", 2), "p50 us": ("p50", 0), "p99 us": ("p99", 0), "p99.9 us": ("p999", 0),
                   "late us": ("late", 0)}
        self.bench.table(f"{name}: an open load of {self.chosen.share:.0%} {CASES[name]}, {self.chosen.connections} connections", rounds,
                         columns, {"p99 to best": ("p99", lambda _: best["p99"]), "p99.9": ("p999", lambda _: best["p999"])}, 1)
        if "relay" in rounds and median(rounds["relay"], "p99") > TOO_LONG:
            print("  The relay alone takes that long: the machine has other work, and these figures judge nothing.")


def main():
    parser = options(__doc__.splitlines()[0], CASES, rounds=5, seconds=5)
    parser.add_argument("--share", metavar="X", type=float, default=0.7)
    parser.add_argument("--connections", metavar="N", type=int, default=64)
    chosen = parser.parse_args()
    with SideBySide(chosen) as bench:
        Bench(chosen, bench).run()


main()
