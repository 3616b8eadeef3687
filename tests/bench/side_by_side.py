"""What the benchmarks of HTTP/1 share: which proxies are compared, their start, and tables of medians of interleaved rounds."""
import argparse
import contextlib
import os
import resource
import shutil
import statistics
import sys
import tempfile

from configs_http1 import BACKS, CONFIGS, Work
from daemon import BINARY
from generator import RELAY
from peers import Peer, Running, find
from ports import free_port
from surroundings import PROXY_CPU, Back, prepare

CERTIFICATES = ("cert.pem", "key.pem", "both.pem")


def options(what, cases, rounds, seconds):
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--nginx", metavar="BINARY", help="instead of the one in PATH, which must be new enough")
    parser.add_argument("--compare", metavar="BINARY", action="append", default=[], help="another limpet")
    parser.add_argument("--case", action="append", choices=cases, help="only this one (again for others)")
    parser.add_argument("--only", metavar="NAME", action="append", help="only this proxy (again for others)")
    parser.add_argument("--nice", metavar="N", type=int, default=0, help="of all that runs: below 0 on a machine that is busy")
    parser.add_argument("--rounds", metavar="N", type=int, default=rounds)
    parser.add_argument("--seconds", metavar="N", type=float, default=seconds, help="of a round of one proxy")
    return parser


class SideBySide:
    """`with SideBySide(chosen) as bench`: the server behind serves."""

    def __init__(self, chosen):
        self.chosen, self.missed = chosen, []
        os.nice(chosen.nice)
        peers, missing = find(chosen.nginx)
        peers = [peer for peer in peers if peer.kind in CONFIGS]
        missing = [name for name in missing if name in CONFIGS]
        proxies = [Peer("limpet", os.path.abspath(BINARY), "limpet"),
                   *(Peer(path, os.path.abspath(path), "limpet") for path in chosen.compare), *peers]
        print("beside each other:", ", ".join(f"{peer.name} {peer.version()}" for peer in proxies))
        if missing:
            print("not installed, so left out:", ", ".join(missing))
        back = next((peer.binary for peer in peers if peer.kind == "nginx"), os.path.abspath(BINARY))
        proxies.append(Peer("relay", RELAY, "relay"))
        self.proxies = [peer for peer in proxies if not chosen.only or peer.name in chosen.only]
        self.descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))
        self.folder = tempfile.TemporaryDirectory(prefix="limpet-bench-")
        os.chmod(self.folder.name, 0o755)  # workers of root's are somebody else
        prepare(self.folder.name)
        self.back = Back(back, self.folder.name, self.descriptors, len(BACKS))

    def __enter__(self):
        self.back.__enter__()
        return self

    def __exit__(self, *raised):
        self.back.__exit__()
        self.folder.cleanup()
        if self.missed and raised[0] is None:
            print("\nabove the target:", ", ".join(self.missed))

    @contextlib.contextmanager
    def running(self, peer, clients=2000, upstreams=2000, hold=0, sessions=()):
        folder = os.path.join(self.folder.name, str(self.proxies.index(peer)))
        os.makedirs(folder, exist_ok=True)
        for name in CERTIFICATES:
            shutil.copy(os.path.join(self.folder.name, name), folder)
        at = Work(folder, self.back.port, hold or free_port(), free_port(), free_port(), clients + upstreams + 512, sessions,
                  peer.kind, clients)
        with Running(peer, at, PROXY_CPU, CONFIGS) as proxy:
            yield proxy

    def peers(self):
        return [peer.name for peer in self.proxies if peer.kind not in ("limpet", "relay")]

    def best(self, rounds, key):
        """The peer with the least median of that figure; `rounds` are lists of figures by proxy."""
        return min(((median(rounds[name], key), name) for name in self.peers() if name in rounds), default=(0, None))[1]

    def table(self, title, rounds, columns, versus, target=None):
        """Rows of proxies. `columns`: heads, and the figures and digits below; `versus`: heads, and functions from a proxy's name
        to that of the rounds that its own are divided by; `target`: at most that of limpet's in the first of them."""
        print(f"\n{title}   (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors)")
        print(f"  {'proxy':12}", *(f"{head:>12}" for head in [*columns, *versus]))
        for name, rows in rounds.items():
            line = [f"  {name[-12:]:12}", *(f"{median(rows, key):12.{digits}f}" for key, digits in columns.values())]
            ratios = [quotient(rows, other(name), key) for key, other in versus.values()]
            line += [f"{ratio:12.3f}" if ratio else " " * 12 for ratio in ratios]
            if name == "limpet" and target and ratios[0]:
                line.append(f" {'>' if ratios[0] > target else '<='} {target}")
                self.missed += [title.split(":")[0]] if ratios[0] > target else []
            print(*line)
        sys.stdout.flush()


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def quotient(rows, others, key):
    """The median of the quotients within a round: what disturbs both cancels out."""
    if not others:
        return None
    return statistics.median(row[key] / other[key] for row, other in zip(rows, others))
