#!/usr/bin/python3
"""Memory of many HTTP/1 connections, and processor time of a request with many, in one run: limpet beside nginx and HAProxy.

`busy`: each connection sends its next request when it has its answer; the memory is that under load. `held`: each waits for an
upstream that does not answer. `idle`: each has had an answer and keeps still; `idletls` the same in TLS. Memory is what the
processes have, what they share counted once (PSS). Each proxy starts anew for each round, with room for the connections and
not for more. `LIMPET_BINARY=… connections.py [options]`.
"""
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

from generator import Generator  # noqa: E402
from peers import HELD  # noqa: E402
from side_by_side import SideBySide, options  # noqa: E402
from surroundings import Holder  # noqa: E402
from waiting import wait_until  # noqa: E402

OPENED = {False: 1500, True: 400}  # idle connections a second, in TLS: few of them are busy at a time


class Bench:
    def __init__(self, chosen, bench):
        self.chosen, self.bench = chosen, bench

    def run(self):
        for name in self.chosen.case or CASES:
            rounds = {}
            for _ in range(self.chosen.rounds):
                for peer in self.bench.proxies:
                    if peer.kind != "relay":
                        rounds.setdefault(peer.name, []).append(getattr(self, name)(peer))
            self.tables(name, rounds)

    def tables(self, name, rounds):
        count = self.chosen.idle if name.startswith("idle") else self.chosen.busy
        columns = {"MB": ("mb", 1), "MB before": ("before", 1), "KB each": ("each", 2)}
        nginx = rounds.get("nginx")
        self.bench.table(f"{name}: {count} connections{CASES[name]}", rounds, columns,
                         {"to nginx": ("mb", lambda _: nginx), "each": ("each", lambda _: nginx)}, 0.5)
        if name == "busy":
            self.bench.table(f"cost of busy: processor time with {count} connections", rounds,
                             {"us/request": ("us", 2), "requests/s": ("rate", 0), "busy": ("busy", 2), "p99 us": ("p99", 0)},
                             {"to nginx": ("us", lambda _: nginx)}, 0.8)

    def busy(self, peer):
        count = self.chosen.busy
        with self.bench.running(peer, count, count) as proxy:
            before, seconds = proxy.memory(), self.chosen.seconds
            with Generator(proxy.at.plain, path="/small", connections=count, warm=seconds / 2, seconds=seconds) as load:
                spent = proxy.seconds()
                time.sleep(seconds * 0.8)
                now = proxy.memory()
                figures = load.figures()
                spent = proxy.seconds() - spent
            return {**memory(now, before, count), "us": spent / figures["answers"] * 1e6, "busy": spent / figures["seconds"],
                    "rate": figures["answers"] / figures["seconds"], "p99": figures["p99"]}

    def idle(self, peer, tls=False):
        count = self.chosen.idle
        with self.bench.running(peer, count) as proxy:
            before = proxy.memory()
            # Each connection in its turn: when as many requests have been answered, all are open.
            with Generator(proxy.at.tls if tls else proxy.at.plain, path="/small", connections=count, tls=tls, requests=count,
                           rate=OPENED[tls], seconds=600) as load:
                load.figures()
                return memory(proxy.memory(), before, count)

    def idletls(self, peer):
        return self.idle(peer, tls=True)

    def held(self, peer):
        count = self.chosen.busy
        with Holder() as holder, self.bench.running(peer, count, count, holder.port) as proxy:
            before, clients = proxy.memory(), []
            try:
                for number in range(count):
                    clients.append(socket.create_connection(("127.0.0.1", proxy.at.plain)))
                    clients[-1].sendall(f"GET /{list(HELD)[number % len(HELD)]} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                wait_until(lambda: holder.held >= count, f"{count} requests to be held", 60)
                return memory(proxy.memory(), before, count)
            finally:
                for client in clients:
                    client.close()


CASES = {"busy": " that send the next request at once", "held": " that wait for their upstream", "idle": " that have had an answer",
         "idletls": " in TLS that have had an answer"}


def memory(now, before, count):
    return {"mb": now / 2**20, "before": before / 2**20, "each": (now - before) / 1024 / count}


def main():
    parser = options(__doc__.splitlines()[0], CASES, rounds=3, seconds=4)
    parser.add_argument("--busy", metavar="N", type=int, default=2000)
    parser.add_argument("--idle", metavar="N", type=int, default=10_000)
    chosen = parser.parse_args()
    with SideBySide(chosen) as bench:
        Bench(chosen, bench).run()


main()
