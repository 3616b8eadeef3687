#!/usr/bin/python3
"""Processor time of an HTTP/1 request, in one run: limpet beside nginx, HAProxy and a bare relay that parses nothing.

Each proxy has one worker on one processor; the load and the server behind (nginx, or limpet where that is missing) share
another. The figure is the processor time of the proxy's own processes. All proxies and cases are measured once a round; what
is printed are medians, and medians of the ratios within a round. `LIMPET_BINARY=… http1.py [options]`.
"""
import contextlib
import json
import os
import sys
from dataclasses import dataclass, field

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

from client import get  # noqa: E402
from generator import Generator, measured  # noqa: E402
from side_by_side import SideBySide, options  # noqa: E402

COOKIE = "Cookie: sid={session}"


@dataclass
class Case:
    what: str
    path: str = "/small"
    versus: str = ""  # what the target is a multiple of
    target: float = 0
    connections: int = 64
    tls: bool = False
    zone: int = -1
    load: dict = field(default_factory=dict)


KEPT = {
    "small": Case("128 bytes", versus="relay", target=1.15),
    "big": Case("a megabyte", "/big", versus="relay", target=1, connections=16),
    "header": Case("small, with the cookie that learn and hash look at"),
    "cookie": Case("sticky cookie", "/cookie", versus="small", target=1.03),
}
SESSIONS = {
    "hash": Case("hash $cookie_sid consistent", "/hash", versus="small", target=1.03),
    "learn": Case("sticky learn, all hits", "/learn", versus="small", target=1.04),
}
OTHERS = {
    "conn": Case("a connection a request", versus="best", target=0.88, load={"close": True}),
    "tls": Case("TLS, kept connections", versus="best", target=0.85, tls=True),
    "tlsbig": Case("TLS, a megabyte", "/big", versus="best", target=1, tls=True, connections=16),
    "tlsconn": Case("TLS, a handshake a request", versus="best", target=0.95, tls=True, connections=32, load={"close": True}),
    "resumed": Case("TLS, a resumed handshake a request", versus="best", target=0.95, tls=True, connections=32,
                    load={"close": True, "resume": True}),
}


def cases(chosen):
    """By name; those with sessions once for each number of them."""
    found = dict(KEPT)
    for name, case in SESSIONS.items():
        for zone, count in enumerate(chosen.sessions):
            path = f"{case.path}{zone}" if name == "learn" else case.path
            found[f"{name} {count}"] = Case(case.what, path, case.versus, case.target, zone=zone,
                                            load={"header": COOKIE, "sessions": count})
    found["header"].load = {"header": COOKIE, "sessions": chosen.sessions[0]}
    found.update(OTHERS)
    return {name: case for name, case in found.items() if not chosen.case or name.split()[0] in (*chosen.case, "small")}


class Bench:
    def __init__(self, chosen, bench):
        self.chosen, self.bench = chosen, bench
        self.cases = cases(chosen)
        self.routes = {}  # by proxy, values of its sticky cookie

    def run(self):
        with contextlib.ExitStack() as stack:
            proxies = {}
            for peer in self.bench.proxies:
                sessions = tuple(self.chosen.sessions if peer.kind == "limpet" else self.chosen.sessions[:1])
                proxies[peer.name] = stack.enter_context(self.bench.running(peer, sessions=sessions))
                if peer.kind != "relay":
                    self.prepare(peer, proxies[peer.name], sessions)
            rounds = {name: {} for name in self.cases}
            for _ in range(self.chosen.rounds):
                for name, case in self.cases.items():
                    for peer in self.bench.proxies:
                        if self.can(peer, name, case):
                            rounds[name].setdefault(peer.name, []).append(self.measure(proxies[peer.name], name, case))
        for name, case in self.cases.items():
            self.table(name, case, rounds)

    def can(self, peer, name, case):
        if peer.kind == "relay":
            return name in ("small", "big")
        return peer.kind == "limpet" or case.zone < 1

    def prepare(self, peer, proxy, sessions):
        """Fills the zones, and sees the cookies that a client has after its first answer."""
        answers = [get(proxy.at.plain, "/cookie") for _ in range(12)]
        self.routes[peer.name] = sorted({answer.cookie("route") for answer in answers})
        for zone, count in enumerate(sessions):
            if f"learn {count}" not in self.cases:
                continue
            with Generator(proxy.at.plain, path=f"/learn{zone}", header=COOKIE, sessions=count, in_order=True, requests=count,
                           connections=64, seconds=100_000) as load:
                load.figures()
            if peer.kind == "limpet":
                active = json.loads(get(proxy.at.plain, f"/status/sessions/sessions{zone}").text)["active"]
                assert active == count, f"{active} of {count} sessions are in the zone"

    def measure(self, proxy, name, case):
        load = dict(case.load)
        if name == "cookie":
            load.update(header="Cookie: route={session}", value=self.routes[proxy.name])
        figures = measured(proxy, proxy.at.tls if case.tls else proxy.at.plain, path=case.path, connections=case.connections,
                           warm=self.chosen.seconds / 4, seconds=self.chosen.seconds, tls=case.tls, **load)
        if case.load.get("resume"):
            assert figures["resumed"] == figures["handshakes"], figures
        return figures

    def table(self, name, case, rounds):
        own = rounds[name]
        best = self.bench.best(own, "us")
        versus = {
            "relay": ("to relay", "us", lambda _: rounds["small" if name != "big" else "big"].get("relay")),
            "small": ("to small", "us", lambda proxy: rounds["small"].get(proxy)),
            "best": ("to the best", "us", lambda _: own.get(best)),
        }
        shown = [case.versus or "small"] + (["relay"] if case.versus == "small" else []) + (["best"] if case.versus != "best" else [])
        self.bench.table(f"{name}: {case.what}, {case.connections} connections", own,
                         {"us/request": ("us", 2), "requests/s": ("rate", 0), "busy": ("busy", 2)},
                         {versus[head][0]: versus[head][1:] for head in shown}, case.target)


def main():
    parser = options(__doc__.splitlines()[0], [*KEPT, *SESSIONS, *OTHERS], rounds=5, seconds=3)
    parser.add_argument("--sessions", metavar="N", type=int, nargs="+", default=[100_000, 5_000_000],
                        help="of hash and learn; peers have the first number alone")
    chosen = parser.parse_args()
    with SideBySide(chosen) as bench:
        Bench(chosen, bench).run()


main()
