"""How long a shared session lives: as long as it is used anywhere, and no longer."""
import time

from client import Connection
from machines import Machines
from middleman import Middleman
from redis_client import as_monitored
from waiting import wait_until

ENDED = ("miss", "expired")


def begin(redis, machine, session):
    """Begins it; its key in Redis."""
    before = redis.sessions()
    machine.login(session)
    (key,) = wait_until(lambda: redis.sessions() - before, "the session in Redis")
    return key


def use_for(seconds, machine, sessions):
    """Each is used again and again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for session in sessions:
            machine.visit(session)


def test_a_session_used_at_one_machine_ends_nowhere(redis):
    with Machines(redis, timeout="2s", sticky="store=shared gc_period=1s") as (a, b):
        homes = {f"s{i}": a.login(f"s{i}") for i in range(12)}
        assert b.visit_all(homes) == homes
        use_for(4, a, homes)
        assert b.visit_all(homes) == homes
        use_for(4, b, homes)
        assert a.visit_all(homes) == homes


def test_a_session_that_is_used_nowhere_ends_everywhere(redis):
    with Machines(redis, timeout="2s") as (a, b):
        key = begin(redis, a, "mine")
        assert b.visit("mine") == b.server_of("mine")
        begun = time.monotonic()
        wait_until(lambda: not redis("EXISTS", key), "its end in Redis")
        assert 1.9 < time.monotonic() - begun < 4
        assert a.sticky("mine") in ENDED and b.sticky("mine") in ENDED


def test_the_deadline_in_redis_is_renewed_once_in_an_eighth_of_the_timeout(redis):
    with Machines(redis, timeout="8s") as (a, _):
        key = begin(redis, a, "mine")
        use_for(1.5, a, ["mine"])  # what is offered when a machine begins to follow has gone by
        with redis.monitor() as monitor:
            rest = []
            for _ in range(50):
                use_for(0.1, a, ["mine"])
                rest.append(redis("PTTL", key))
            renewals = [line for line in monitor.like(as_monitored(key)) if b'"PTTL"' not in line and b'"GET"' not in line]
        assert min(rest) > 6500, rest
        at = [float(line[1:].split()[0]) for line in renewals]
        assert len(at) >= 3 and min(later - sooner for sooner, later in zip(at, at[1:])) > 0.5, at
        assert len(at) <= (at[-1] - at[0]) + 2, at


def test_a_session_lives_as_long_as_the_answer_that_has_begun_it(redis):
    with Machines(redis, count=1, timeout="4s") as (a,):
        before = redis.sessions()
        with Connection(a.port) as client:
            client.send("GET /stream?mine HTTP/1.1\r\nHost: x\r\n\r\n")
            (key,) = wait_until(lambda: redis.sessions() - before, "the session in Redis")
            begun = time.monotonic()
            wait_until(lambda: time.monotonic() > begun + 6 or not redis("EXISTS", key), "more than its timeout", 8)
            assert redis("EXISTS", key)


def test_norefresh_keeps_the_first_deadline_everywhere(redis):
    with Machines(redis, timeout="4s", sticky="store=shared norefresh") as (a, b):
        begun = time.monotonic()
        home = a.login("mine")
        use_for(2, a, ["mine"])
        assert b.visit("mine") == home
        wait_until(lambda: b.sticky("mine") in ENDED, "its end at the second machine", 6)
        assert 3.5 < time.monotonic() - begun < 5.5
        assert a.sticky("mine") in ENDED


def test_an_end_is_not_undone_by_a_machine_that_was_late(redis):
    """A tombstone outlives what others may still say of the session."""
    with Machines(redis) as (a, b):
        for number in range(20):
            home = a.login(f"s{number}")
            assert b.visit(f"s{number}") == home
            b.forget(f"s{number}")
            a.visit(f"s{number}")
        for number in range(20):
            wait_until(lambda: a.server_of(f"s{number}") is None, "the end")
            assert {a.sticky(f"s{number}"), b.sticky(f"s{number}")} <= set(ENDED)


def test_a_redis_that_was_emptied_gets_sessions_back_as_they_are_used(redis):
    machines = Machines(redis, timeout="8s")
    with machines as (a, b):
        homes = {f"s{i}": a.login(f"s{i}") for i in range(10)}
        assert b.visit_all(homes) == homes
        redis("FLUSHALL")
        use_for(2.5, a, homes)
        wait_until(lambda: len(redis.sessions()) >= len(homes), "them to be there again")
        b.begin_anew()
        wait_until(lambda: machines.travels(a, b), "the way to be whole")
        assert b.visit_all(homes) == homes


def test_what_is_used_while_redis_is_away_lives_on_when_it_is_back(redis):
    with Middleman(redis.port) as between, \
            Machines(redis, count=1, timeout="16s", wait="50ms", where=f"server 127.0.0.1:{between.port};") as (a,):
        key = begin(redis, a, "mine")
        between.deaf = True
        between.cut()
        a.wait_log("is lost")
        use_for(6, a, ["mine"])
        used = time.monotonic()
        between.deaf = False
        wait_until(lambda: redis("PTTL", key) / 1000 > 18 - (time.monotonic() - used) - 2, "its deadline to be renewed", 12)


def test_a_deadline_that_redis_does_not_renew_now_is_renewed_later(redis):
    with Machines(redis, count=1, timeout="8s") as (a,):
        key = begin(redis, a, "mine")
        first = time.monotonic() + redis("PTTL", key) / 1000  # what it has without a renewal
        redis("CONFIG", "SET", "min-replicas-to-write", 1)
        use_for(2, a, ["mine"])
        a.wait_log("has refused a command.*NOREPLICAS")
        used = time.monotonic()
        redis("CONFIG", "SET", "min-replicas-to-write", 0)
        wait_until(lambda: time.monotonic() + redis("PTTL", key) / 1000 > first + 0.2, "its deadline to be renewed")
        rest = redis("PTTL", key) / 1000
        assert rest < 9 - (time.monotonic() - used) + 0.3


def test_who_writes_a_session_anew_does_not_shorten_its_life(redis):
    """Machine a has not used it for long, b has."""
    with Machines(redis, timeout="16s") as (a, b):
        key = begin(redis, a, "mine")
        home = b.visit("mine")
        use_for(6, b, ["mine"])
        assert redis("PTTL", key) > 15000
        a.end()
        with redis.monitor() as monitor:
            a.start()
            wait_until(lambda: monitor.like(b"EVALSHA", as_monitored(key)), "it to be written anew")
        wait_until(a.all_told, "all to be told")
        assert redis("PTTL", key) > 12500
        assert b.visit("mine") == home
