"""What scripts/chaos does to a limpet: events, planned by a seed, each of which leaves everything as it was."""
import contextlib
import itertools
import os
import random
import signal
import time
from dataclasses import dataclass

from client import Connection, get
from daemon import alive, sanitized
from dns import SERVFAIL, NameServer
from origin import Reply
from ports import free_port
from waiting import wait_until

GRACE = 1  # seconds after a pain in which a request may still feel it
LEAST = 3  # servers that stay


class Pain:
    """`with pain:` requests may fail now."""

    def __init__(self):
        self._now, self._until = False, float("-inf")

    def __enter__(self):
        self._now = True

    def __exit__(self, *_):
        self._until, self._now = time.monotonic() + GRACE, False

    def since(self, began):
        return self._now or self._until > began


@dataclass
class Event:
    name: str
    dice: float  # in [0, 1): which one, how long
    pause: float  # seconds before it

    def play(self, chaos):
        time.sleep(self.pause)
        EVENTS[self.name][1](chaos, self.dice)

    def __str__(self):
        return f"{self.name} {self.dice:.3f}"


def plan(seed):
    """Events without end."""
    dice = random.Random(seed)
    names, weights = list(EVENTS), [weight for weight, _ in EVENTS.values()]
    while True:
        yield Event(dice.choices(names, weights)[0], dice.random(), dice.uniform(0, 0.4))


def kills(count, seed):
    dice = random.Random(seed)
    return (Event("kill a worker", dice.random(), dice.uniform(0, 0.05)) for _ in range(count))


def until(end, events):
    return itertools.takewhile(lambda _: time.monotonic() < end, events)


def named_places(names):
    """Addresses of one name: one port, an address each."""
    port = free_port()
    return {name: {"address": f"127.0.2.{number + 1}", "port": port} for number, name in enumerate(names)}


def _pick(things, dice):
    things = sorted(things)
    return things[int(dice * len(things))]


def _stand_still(chaos, pid, seconds):
    with chaos.proxy.witness.standing_still(pid):
        time.sleep(seconds)


# Processes

def kill_worker(chaos, dice):
    with chaos.pain:
        victim = _pick(chaos.proxy.workers(), dice)
        os.kill(victim, signal.SIGKILL)
        chaos.proxy.wait_ready(instead_of=[victim])


def stop_worker(chaos, dice):
    """It stands still for less than the watchdog's patience: clients wait, and that is all."""
    _stand_still(chaos, _pick(chaos.proxy.workers(), dice), 0.1 + dice)


def freeze_worker(chaos, dice):
    """It stands still for ever: the watchdog ends it."""
    with chaos.pain:
        victim = _pick(chaos.proxy.workers(), dice)
        chaos.proxy.witness.stop(victim)
        wait_until(lambda: chaos.proxy.witness.has_seen_end(victim), "the watchdog")
        chaos.proxy.wait_ready(instead_of=[victim])


def stop_master(chaos, dice):
    _stand_still(chaos, chaos.proxy.master, 0.2 + dice)


def kill_worker_of_a_stopped_master(chaos, dice):
    with chaos.pain:
        master, victim = chaos.proxy.master, _pick(chaos.proxy.workers(), dice)
        with chaos.proxy.witness.standing_still(master):
            os.kill(victim, signal.SIGKILL)
            time.sleep(dice)
        chaos.proxy.wait_ready(instead_of=[victim])


def kill_master(chaos, dice):
    """Its workers end by themselves; it is started again and finds the sessions."""
    with chaos.pain:
        workers = chaos.proxy.workers()
        os.kill(chaos.proxy.master, signal.SIGKILL)
        chaos.proxy.wait_end([chaos.proxy.master, *workers])
        chaos.proxy.start()


def kill_all(chaos, dice):
    with chaos.pain:
        family = [chaos.proxy.master, *chaos.proxy.workers()]
        for pid in family:
            os.kill(pid, signal.SIGKILL)
        chaos.proxy.wait_end(family)
        chaos.proxy.start()


def restart(chaos, dice):
    """A clean stop, and a start at another time of the clock, forward or back by up to ten minutes."""
    with chaos.pain:
        family = [chaos.proxy.master, *chaos.proxy.workers()]
        os.kill(chaos.proxy.master, _pick([signal.SIGQUIT, signal.SIGTERM], dice))
        chaos.proxy.wait_end(family)
        chaos.proxy.start(clock=int(dice * 1200) - 600)


def reload(chaos, dice):
    workers = chaos.proxy.workers()
    os.kill(chaos.proxy.master, signal.SIGHUP)
    chaos.proxy.wait_ready(instead_of=workers)


def reload_twice(chaos, dice):
    workers = chaos.proxy.workers()
    for _ in range(2):
        os.kill(chaos.proxy.master, signal.SIGHUP)
    chaos.proxy.wait_ready(instead_of=workers)


def reload_nonsense(chaos, dice):
    """It says what is wrong and goes on."""
    limpet = chaos.proxy.limpet
    with open(limpet.path("limpet.conf")) as text:
        good = text.read()
    said = len(limpet.log_lines(r"\[emerg\]"))
    limpet.write(good.replace("sticky learn", "stick learn"))
    os.kill(chaos.proxy.master, signal.SIGHUP)
    wait_until(lambda: len(limpet.log_lines(r"\[emerg\]")) > said, "the error")
    limpet.write(good)


def upgrade(chaos, dice):
    """A new binary beside the old one, which rests and ends."""
    old, workers = chaos.proxy.master, chaos.proxy.workers()
    _start_new_binary(chaos, old)
    os.kill(old, signal.SIGWINCH)
    wait_until(lambda: not any(alive(pid) for pid in workers), "the old workers to end")
    os.kill(old, signal.SIGQUIT)
    chaos.proxy.wait_end([old])
    chaos.proxy.wait_ready()


def upgrade_and_back(chaos, dice):
    """The new binary dies at once; the old one goes on."""
    with chaos.pain:
        old = chaos.proxy.master
        new = _start_new_binary(chaos, old)
        for pid in [new, *chaos.proxy.workers()]:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: chaos.proxy.master == old, "the old binary's pid file")
        chaos.proxy.wait_ready()


def _start_new_binary(chaos, old):
    os.kill(old, signal.SIGUSR2)
    wait_until(lambda: chaos.proxy.master != old, "the new pid file")
    chaos.proxy.wait_ready()
    return chaos.proxy.master


# What it needs

def full_disk(chaos, dice):
    """Uploads may be refused; everything else goes on, a reload, too."""
    proxy = chaos.proxy
    if not proxy.small:
        return
    filler = os.path.join(proxy.disk, "filler")
    try:
        _fill(filler)
        status = get(proxy.port, "/upload", method="POST", body=bytes(300_000)).status
        assert status in (500, 503, 507), f"an upload to a full disk: {status}"
        reload(chaos, dice)
    finally:
        os.unlink(filler)
    status = get(proxy.port, "/upload", method="POST", body=bytes(300_000)).status
    assert status == 200, f"an upload to a disk that has room again: {status}"


def _fill(path):
    with open(path, "wb", buffering=0) as out:
        try:
            while out.write(bytes(4096)):
                pass
        except OSError:
            pass


def no_descriptors(chaos, dice):
    """Workers that may open few files, and more clients than that."""
    if sanitized():  # UBSan looks at objects through a pipe: without one it takes all of them for wrong
        return
    limpet = chaos.proxy.limpet
    with open(limpet.path("limpet.conf")) as text:
        good = text.read()
    with chaos.pain:
        limpet.write(f"worker_rlimit_nofile {40 + int(dice * 20)};" + good)
        reload(chaos, dice)
        workers = chaos.proxy.workers()
        crowd = [Connection(chaos.proxy.port) for _ in range(200)]
        for connection in crowd:
            connection.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2 + dice / 2)
        for connection in crowd:
            connection.close()
        assert all(alive(pid) for pid in workers), "a worker died without descriptors"
        limpet.write(good)
        reload(chaos, dice)


# Servers

@contextlib.contextmanager
def _server_that_fails(chaos, dice):
    """A server whose sessions may go elsewhere from now on; None where too few would stay."""
    candidates = [name for name in chaos.servers.steady() if name.startswith("s")]
    if len(candidates) <= LEAST:
        yield None
        return
    name = _pick(candidates, dice)
    with chaos.pain:
        chaos.servers.put(name, "killed")
        yield name
        chaos.servers.went(name)


def kill_server(chaos, dice):
    with _server_that_fails(chaos, dice) as name:
        if name:
            chaos.servers.origins[name].stop()


def revive_server(chaos, dice):
    killed = chaos.servers.of("killed")
    if not killed:
        return
    name = _pick(killed, dice)
    chaos.servers.origins[name].start()
    chaos.servers.put(name, "in")


def lying_server(chaos, dice):
    """It answers what is no HTTP for a moment: limpet may take it for failed."""
    with _server_that_fails(chaos, dice) as name:
        if name:
            origin = chaos.servers.origins[name]
            honest, origin.respond = origin.respond, lambda request: Reply(raw=b"nonsense\r\n\r\n", close=True)
            time.sleep(0.2 + dice / 2)
            origin.respond = honest
            chaos.servers.put(name, "in")


# Names

def silent_names(chaos, dice):
    chaos.proxy.dns.zone.silent = True
    time.sleep(0.5 + 2 * dice)
    chaos.proxy.dns.zone.silent = False


def refusing_names(chaos, dice):
    chaos.proxy.dns.zone.error = SERVFAIL
    time.sleep(0.5 + 2 * dice)
    chaos.proxy.dns.zone.error = 0


def dead_names(chaos, dice):
    port = chaos.proxy.dns.port
    chaos.proxy.dns.stop()
    time.sleep(0.5 + 2 * dice)
    # It knows its names before it is asked: else it would say that there is no such name.
    chaos.proxy.dns = NameServer(port=port, ttl=1, records=chaos.proxy.dns.zone.records)


def names_that_lie(chaos, dice):
    """One more address, where nobody is: those that are there go on."""
    chaos.proxy.dns.set(web=[*chaos.proxy.named, "127.0.9.9"])
    time.sleep(1 + dice)
    chaos.proxy.dns.set(web=chaos.proxy.named)


EVENTS = {
    "kill a worker": (5, kill_worker),
    "stop a worker": (3, stop_worker),
    "freeze a worker": (1, freeze_worker),
    "stop the master": (2, stop_master),
    "kill a stopped master's worker": (2, kill_worker_of_a_stopped_master),
    "kill the master": (2, kill_master),
    "kill all": (2, kill_all),
    "restart at another time": (2, restart),
    "reload": (3, reload),
    "reload twice": (1, reload_twice),
    "reload nonsense": (1, reload_nonsense),
    "upgrade": (2, upgrade),
    "upgrade and back": (1, upgrade_and_back),
    "full disk": (2, full_disk),
    "no descriptors": (2, no_descriptors),
    "kill a server": (2, kill_server),
    "revive a server": (3, revive_server),
    "a server that lies": (1, lying_server),
    "silent names": (1, silent_names),
    "refusing names": (1, refusing_names),
    "dead names": (1, dead_names),
    "names that lie": (1, names_that_lie),
}
