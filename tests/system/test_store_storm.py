"""Ten thousand shared sessions over everything that can happen to Redis: none at a wrong server, no failed request."""
import os
import signal
import threading

from daemon import Limpet
from machines import Machines
from middleman import Middleman
from ports import free_port
from sessions import pipeline
from waiting import wait_until

SERVERS = """
events { }
http {
    keepalive_requests 10000000;
    server { listen {port}; return 200 "<a>"; }
    server { listen {b}; return 200 "<b>"; }
    server { listen {c}; return 200 "<c>"; }
}
"""


ENDS_WORKERS = ("worker_dies", "reload")  # and with them connections on which more has been asked already


def learn(machine, ids):
    return dict(zip(ids, pipeline(machine.port, [f"/?new={i}" for i in ids])))


def visit(machine, ids):
    return dict(zip(ids, pipeline(machine.port, [f"/?id={i}" for i in ids])))


class Storm:
    def __init__(self, redis, between, machines):
        self.redis, self.between, self.machines = redis, between, machines
        self.a, self.b = machines.all
        self.homes, self.wrong, self.count = {}, [], 0

    def ids(self, count):
        self.count += count
        return [f"s{i}" for i in range(self.count - count, self.count)]

    def look(self, machine, when):
        """All sessions that both machines know."""
        expected = dict(self.homes)
        found = visit(machine, list(expected))
        self.wrong += [(when, session, home, found[session]) for session, home in expected.items() if found[session] != home]

    def all_known(self):
        """Eight that have just begun at each machine are known at the other."""
        for begin, end in ((self.a, self.b), (self.b, self.a)):
            ids = self.ids(8)
            homes = learn(begin, ids)
            if visit(end, ids) != homes:
                return False
        return True

    def begin(self, count):
        """Half of them at each machine; then both have them."""
        ids = self.ids(count)
        for machine, part in ((self.a, ids[::2]), (self.b, ids[1::2])):
            self.homes |= learn(machine, part)
        for machine in (self.a, self.b):
            self.look(machine, "at once")

    def through(self, name, fault):
        """Sessions are used at both machines while it happens; those that begin meanwhile stay where they began."""
        over, rounds = threading.Event(), [0, 0]

        def use(number, machine):
            while not over.is_set():
                try:
                    self.look(machine, name)
                    rounds[number] += 1
                except (OSError, EOFError) as error:
                    if name not in ENDS_WORKERS:
                        self.wrong.append((name, "a connection", repr(error)))
                except AssertionError as error:
                    self.wrong.append((name, "an answer", repr(error)))

        threads = [threading.Thread(target=use, args=one) for one in enumerate((self.a, self.b))]
        for thread in threads:
            thread.start()
        try:
            end = fault()
            ids = self.ids(200)
            new = learn(self.b, ids)
            found = visit(self.b, ids)
            self.wrong += [(name, "new", session) for session in ids if found[session] != new[session]]
            so_far = list(rounds)
            wait_until(lambda: all(now > then for now, then in zip(rounds, so_far)), "a round of visits", 60)
            if end:
                end()
        finally:
            over.set()
            for thread in threads:
                thread.join()
        for machine in (self.a, self.b):
            wait_until(machine.all_told, "all changes to be told", 60)
        wait_until(self.all_known, "sessions to travel", 60)
        for machine in (self.a, self.b):
            self.look(machine, "after " + name)
        assert not self.wrong, (len(self.wrong), self.wrong[:3])
        known = visit(self.a, ids)
        lost = [session for session in ids if known[session] != new[session]]
        assert not lost, (name, len(lost), lost[:3])
        self.homes |= new

    # What happens

    def cuts(self):
        for _ in range(5):
            self.between.cut()

    def away(self):
        self.redis.pause()
        return self.redis.resume

    def killed(self):
        self.redis.kill()
        return self.redis.start

    def refused(self):
        self.between.deaf = True
        self.between.cut()
        return lambda: setattr(self.between, "deaf", False)

    def slow(self):
        self.between.delay = 0.03
        return lambda: setattr(self.between, "delay", 0)

    def too_slow(self):
        self.between.delay = 1.5
        return lambda: setattr(self.between, "delay", 0)

    def garbage(self):
        self.between.instead = b"$99999999999\r\nwhat\r\n"
        return lambda: setattr(self.between, "instead", None)

    def worker_dies(self):
        os.kill(self.a.workers()[0], signal.SIGKILL)

    def reload(self):
        self.a.change()

    def emptied(self):
        self.redis("FLUSHALL")


def test_ten_thousand_sessions_over_all_of_it(redis):
    with Limpet(SERVERS, workers=1, b=free_port(), c=free_port()) as servers, Middleman(redis.port) as between:
        lines = " ".join(f"server 127.0.0.1:{port};" for port in (servers.port, servers.values["b"], servers.values["c"]))
        machines = Machines(redis, where=f"server 127.0.0.1:{between.port};", ready=False, wait="2s",
                            origins="", servers=lines, create="$arg_new", lookup="$arg_id",
                            sticky="store=shared confirm")
        with machines:
            storm = Storm(redis, between, machines)
            wait_until(storm.all_known, "sessions to travel")
            faults = [storm.cuts, storm.slow, storm.away, storm.garbage, storm.worker_dies, storm.refused, storm.reload,
                      storm.too_slow, storm.killed, storm.emptied]
            for fault in faults:
                storm.begin(800)
                storm.through(fault.__name__, fault)
            assert len(storm.homes) == 10_000
