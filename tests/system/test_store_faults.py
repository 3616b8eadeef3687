"""Shared sessions while Redis is away, slow, empty, or says what nobody asked: no client notices."""
import concurrent.futures
import re
import time

import pytest

from machines import Machines, seconds
from middleman import Middleman
from waiting import wait_until

WAIT = 0.8   # seconds that a request may wait for Redis: long enough to be told from a busy machine
WAIT_MS = "800ms"
SLACK = 2    # seconds that a busy machine may add


@pytest.fixture
def between(redis):
    with Middleman(redis.port) as made:
        yield made


def through(between, redis, **values):
    return Machines(redis, where=f"server 127.0.0.1:{between.port};", **values)


def each_sticks(machine, homes):
    assert machine.visit_all(homes) == homes


def known_to_both(machines, count=40, name="s"):
    """Sessions that both zones have."""
    homes = machines.spread(count, name)
    for machine in machines.all:
        each_sticks(machine, homes)
    return homes


def waits_at_most_once(actions, workers=2):
    """Of many actions each worker has one that waits, and none waits longer than `wait`."""
    times = [seconds(action) for action in actions]
    assert len([taken for taken in times if taken >= WAIT * 0.9]) <= workers + 1, times  # a slow machine's hiccup
    assert max(times) < WAIT + SLACK, times


def misses(machine, name, count=40):
    return [lambda i=i: machine.visit(f"{name}-{i}") for i in range(count)]


# Away

def lose(redis, how):
    redis.pause() if how == "stopped" else redis.kill()


def bring_back(redis, how):
    redis.resume() if how == "stopped" else redis.start()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_no_request_fails_or_waits_for_a_redis_that_is_away(redis, how):
    machines = Machines(redis, wait=WAIT_MS)
    with machines as (a, b):
        homes = known_to_both(machines)
        lose(redis, how)
        for machine in (a, b):
            waits_at_most_once(misses(machine, "while-away"))
            waits_at_most_once(misses(machine, "later"), workers=0)
            each_sticks(machine, homes)
        new = {f"new{i}": a.login(f"new{i}") for i in range(20)}
        each_sticks(a, new)
        bring_back(redis, how)
        machines.wait_ready()
        for machine in (a, b):
            each_sticks(machine, homes)
        wait_until(lambda: {session: b.server_of(session) for session in new if b.visit(session)} == new, "what began meanwhile")


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_what_happened_meanwhile_is_made_up_for(redis, how):
    machines = Machines(redis, wait="50ms", sticky="store=shared delete=$upstream_http_x_logout")
    with machines as (a, b):
        homes = known_to_both(machines, 60)
        ids = list(homes)
        lose(redis, how)
        for session in ids[:10]:
            a.forget(session)
        for session in ids[10:20]:
            a.logout(session)
        for session in ids[20:40]:
            homes[session] = a.login(session)
        new = {f"new{i}": a.login(f"new{i}") for i in range(30)}
        bring_back(redis, how)
        wait_until(lambda: not any(b.server_of(session) for session in ids[:20]), "the ends")
        wait_until(lambda: all(b.server_of(session) == homes[session] for session in ids[20:]), "the new servers")
        machines.wait_ready()
        each_sticks(b, new)
        # One that was emptied gets all of them back: those that live, and the ends of others.
        wait_until(lambda: len(redis.sessions()) >= a.active() + 20, "all to be written")
        third = machines.add()
        each_sticks(third, new)
        each_sticks(third, {session: homes[session] for session in ids[20:40]})


def test_one_line_when_it_is_lost_and_one_when_it_is_back(redis):
    machines = Machines(redis, wait="50ms")
    with machines as (a, _):
        for turn in (1, 2):
            redis.kill()
            for miss in misses(a, f"turn{turn}", 20):
                miss()
            (line,) = a.wait_log(r'\[(warn|error|alert|crit)\].*session store "shared".*lost', turn)[turn - 1:]
            redis.start()
            a.wait_log(r'\[notice\].*session store "shared".*back', turn)
            machines.wait_ready()
        assert len(a.log_lines(r'session store "shared".*lost')) == len(a.log_lines(r'session store "shared".*back')) == 2


def test_a_queue_that_overflows_loses_the_oldest_and_says_how_many(redis):
    machines = Machines(redis, wait="50ms", store="queue 16;", workers=1)
    with machines as (a, b):
        redis.pause()
        a.login("first")
        a.wait_log(r'session store "shared".*is lost')
        homes = {f"s{i}": a.login(f"s{i}") for i in range(100)}
        each_sticks(a, homes)
        redis.resume()
        (line,) = a.wait_log(r'session store "shared".*is back')
        waited, dropped = (int(count) for count in re.search(r"(\d+) changes waited, (\d+) were dropped", line).groups())
        assert waited == 16 and dropped >= 101 - 16  # what was used for the second time meanwhile counts, too
        newest = {f"s{i}": homes[f"s{i}"] for i in range(90, 100)}
        wait_until(lambda: b.visit_all(newest) == newest, "the newest")
        each_sticks(a, homes)


def full(redis):
    """It takes nothing, for a while."""
    redis("CONFIG", "SET", "maxmemory", 1)


def test_what_a_full_redis_refuses_is_told_when_it_has_room_again(redis):
    machines = Machines(redis)
    with machines as (a, b):
        homes = known_to_both(machines)
        ids = list(homes)
        full(redis)
        for session in ids[:10]:
            a.forget(session)
        for session in ids[10:30]:
            homes[session] = a.login(session)
        homes.update({f"new{i}": a.login(f"new{i}") for i in range(10)})
        a.wait_log(r'session store "shared".*has refused a command.*OOM')
        time.sleep(1.5)  # it has been tried again, and in vain
        each_sticks(a, {session: homes[session] for session in list(homes)[10:]})
        redis("CONFIG", "SET", "maxmemory", 0)
        wait_until(lambda: not any(b.server_of(session) for session in ids[:10]), "the ends")
        lives = {session: home for session, home in homes.items() if session not in ids[:10]}
        wait_until(lambda: {session: b.server_of(session) for session in lives} == lives, "the moves")
        wait_until(lambda: all(machine.all_told() for machine in (a, b)), "all to be told")
        each_sticks(b, lives)
        assert len(a.log_lines("has refused a command")) <= 2  # once a minute and worker


def test_with_confirm_nobody_waits_for_a_full_redis(redis):
    machines = Machines(redis, wait="5s", sticky="store=shared confirm")
    with machines as (a, b):
        full(redis)
        assert max(seconds(lambda i=i: a.login(f"s{i}")) for i in range(20)) < 2
        redis("CONFIG", "SET", "maxmemory", 0)
        wait_until(lambda: all(b.server_of(f"s{i}") for i in range(20)), "all sessions")


def test_a_redis_that_is_empty_takes_nobodys_session(redis):
    machines = Machines(redis)
    with machines as (a, b):
        homes = known_to_both(machines)
        redis.restart()
        for machine in (a, b):
            each_sticks(machine, homes)
        machines.wait_ready()
        for _ in range(2):
            for machine in (a, b):
                each_sticks(machine, homes)
        redis("FLUSHALL")
        for machine in (a, b):
            each_sticks(machine, homes)


def test_a_redis_that_is_emptied_gets_all_sessions_again(redis):
    """Its connections stay, and nobody uses a session."""
    machines = Machines(redis)
    with machines as (a, b):
        homes = known_to_both(machines)
        redis("FLUSHALL")
        wait_until(lambda: len(redis.sessions()) >= max(a.active(), b.active()), "all to be written anew")
        each_sticks(machines.add(), homes)


def cut_off_machine(machines, between, count):
    """One more machine whose own way to Redis breaks once it knows so many sessions; and those."""
    cut_off = machines.add(where=f"server 127.0.0.1:{between.port};")
    machines.wait_ready()
    homes = known_to_both(machines, count)
    between.deaf = True
    between.cut()
    return cut_off, homes


def test_a_machine_that_was_cut_off_reads_what_it_missed(redis, between):
    machines = Machines(redis, wait="50ms")
    with machines as (a, b):
        cut_off, homes = cut_off_machine(machines, between, 60)
        ids = list(homes)
        for session in ids[:10]:
            a.forget(session)
        for session in ids[10:30]:
            homes[session] = b.login(session)
        each_sticks(cut_off, {session: homes[session] for session in ids[30:]})
        between.deaf = False
        wait_until(lambda: not any(cut_off.server_of(session) for session in ids[:10]), "the ends")
        wait_until(lambda: all(cut_off.server_of(session) == homes[session] for session in ids[10:]), "the moves")


def test_a_machine_that_cannot_tell_what_it_missed_checks_as_sessions_are_used(redis, between):
    """The stream has lost the changes: they are found out session by session."""
    machines = Machines(redis, wait="50ms")
    with machines as (a, _):
        cut_off, homes = cut_off_machine(machines, between, 40)
        ids = list(homes)
        for session in ids[:10]:
            a.forget(session)
        for session in ids[10:20]:
            homes[session] = a.login(session)
        wait_until(lambda: redis("XLEN", "limpet:{sessions}:changes") >= 80, "the changes")
        redis("XTRIM", "limpet:{sessions}:changes", "MAXLEN", "=", 2)
        between.deaf = False
        wait_until(lambda: machines.travels(a, cut_off), "the way to be whole")
        wait_until(lambda: all(cut_off.sticky(session) in ("miss", "asked", "expired") or cut_off.server_of(session) is None
                               for session in ids[:10]), "the ends")
        wait_until(lambda: all(cut_off.visit(session) == homes[session] for session in ids[10:]), "the moves")


# Slow

def test_a_slow_redis_is_waited_for_and_hits_are_not_slowed(redis, between):
    with (machines := through(between, redis)) as (a, b):
        homes = known_to_both(machines)
        between.delay = 0.2
        waits = []
        for number in range(6):
            home, begin = a.login(f"new{number}"), time.monotonic()
            assert b.visit(f"new{number}") == home
            waits.append(time.monotonic() - begin)
        assert max(waits) > 0.1, "it has been asked for"
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(b.visit, f"unknown{i}") for i in range(8)]
            taken = seconds(lambda: each_sticks(b, homes))
            assert taken < 0.2 * len(homes) / 4, "others go on meanwhile"
            assert all(one.result() in "abc" for one in asking)


def test_a_redis_slower_than_wait_is_as_good_as_away(redis, between):
    with (machines := through(between, redis, wait=WAIT_MS)) as (a, b):
        homes = known_to_both(machines)
        between.delay = 3
        waits_at_most_once(misses(b, "unknown"))
        for machine in (a, b):
            each_sticks(machine, homes)
        between.delay = 0
        machines.wait_ready()


def test_one_question_for_all_that_ask_for_the_same(redis, between):
    with through(between, redis, workers=1, wait="5s", store="connect_timeout 10s;") as (a, b):
        def asked():
            return b.stored_zones()[0]["asked"]

        before, questions = redis.sessions(), asked()
        between.held = True  # what the other machine would hear by itself, too
        home = a.login("wanted")
        wait_until(lambda: redis.sessions() - before, "the session")
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = [pool.submit(b.visit, "wanted") for _ in range(12)]
            wait_until(lambda: b.call("GET", "")["connections"]["active"] > 12, "all to wait")
            assert not any(answer.done() for answer in answers)
            between.held = False
            assert [answer.result() for answer in answers] == 12 * [home]
        assert asked() == questions + 1


def test_what_the_store_has_not_confirmed_waits(redis, between):
    with through(between, redis, workers=1, store="connect_timeout 10s;") as (a, _):
        def waiting():
            return a.call("GET", "stores/shared")["zones"]["sessions"]["waiting"]

        wait_until(lambda: waiting() == 0, "what told that they are in touch")
        before = redis.sessions()
        between.held = True
        a.login("told")
        wait_until(lambda: redis.sessions() - before, "the session")
        assert waiting() >= 1  # beside what a machine that has begun offers
        between.held = False
        wait_until(lambda: waiting() == 0, "the store's word")


def test_no_more_than_max_waiting_wait(redis, between):
    store = "max_waiting 3; connect_timeout 10s;"
    with (machines := through(between, redis, workers=1, wait="8s", store=store)) as (_, b):
        homes = known_to_both(machines)
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            between.held = True
            answers = [pool.submit(b.visit, f"unknown{i}") for i in range(12)]
            wait_until(lambda: sum(answer.done() for answer in answers) == 9, "those that may not wait", 5)
            each_sticks(b, homes)
            assert sum(answer.done() for answer in answers) == 9
            between.held = False
            assert all(answer.result() in "abc" for answer in answers)
        assert len(b.wait_log(r'session store "shared".*max_waiting')) == 1


# Wrong

GARBAGE = {
    "text": b"HTTP/1.1 400 Bad Request\r\n\r\n", "zeros": b"\0" * 4000, "nothing is that long": b"$9999999999\r\n",
    "negative": b"$-7\r\nx\r\n", "endless line": b"+" + b"x" * 65536, "deep": b"*1\r\n" * 5000, "wide": b"*2000000000\r\n",
    "large": b"$100000\r\n" + b"x" * 100000 + b"\r\n", "number": b":12345678901234567890123\r\n", "integer": b":7\r\n",
    "many": b"+OK\r\n" * 2000, "empty array": b"*0\r\n", "error": b"-ERR whatever\r\n", "half": b"$10\r\nhal",
    "resp3": b"%2\r\n+a\r\n:1\r\n", "moved nowhere": b"-MOVED 1 \r\n", "moved elsewhere": b"-MOVED 1 256.1.1.1:99999\r\n",
    "loading": b"-LOADING Redis is loading\r\n",
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_for_an_answer(redis, between, what):
    with (machines := through(between, redis, wait="200ms")) as both:
        homes = known_to_both(machines, 20)
        between.instead = GARBAGE[what]
        for number in range(20):
            for machine in both:
                assert machine.visit(f"unknown-{number}") in "abc"
        mine = {f"new{i}": both[0].login(f"new{i}") for i in range(10)}
        each_sticks(both[0], mine)
        between.cut()  # the greeting gets the same
        for machine in both:
            each_sticks(machine, homes)
            assert len(machine.workers()) == 2 and not machine.log_lines("exited")
        between.instead = None
        between.cut()
        machines.wait_ready()
        each_sticks(both[1], mine)


NO_RECORDS = {"empty": b"", "short": b"x", "no kind": b"\xff" * 40, "too long": b"s" * 257, "huge": b"x" * 5_000_000,
              "another kind": b"\0" * 11 + b"q" + b"server"}


@pytest.mark.parametrize("what", NO_RECORDS)
def test_a_record_that_is_none_is_a_miss(redis, what):
    with (machines := Machines(redis)) as (a, b):
        before = redis.sessions()
        home = a.login("mine")
        (key,) = wait_until(lambda: redis.sessions() - before, "the record")
        a.end()  # or it would write it anew
        redis("SET", key, NO_RECORDS[what])
        redis("DEL", "limpet:{sessions}:changes")  # which knows it still
        b.begin_anew()
        assert b.visit("mine") in "abc"
        assert b.server_of("mine") is None
        a.start()
        assert a.visit("mine") == home
        assert len(b.workers()) == 2 and not b.log_lines("exited on signal")
        machines.wait_ready()


def test_a_key_of_another_type_is_a_miss(redis):
    with Machines(redis) as (a, b):
        before = redis.sessions()
        home = a.login("mine")
        (key,) = wait_until(lambda: redis.sessions() - before, "the record")
        redis("DEL", key), redis("RPUSH", key, "a", "list")
        assert b.visit("mine") in "abc" and a.visit("mine") == home
        redis("SET", "limpet:{sessions}:changes", "no stream")
        assert b.visit("unknown") in "abc"
        assert a.login("another") in "abc"
        redis("DEL", "limpet:{sessions}:changes")
        wait_until(lambda: (session := str(time.monotonic())) and a.login(session) == b.visit(session) == b.server_of(session),
                   "all to be well")


def test_changes_that_are_none_are_passed_over(redis):
    with (machines := Machines(redis)) as (a, b):
        stream = "limpet:{sessions}:changes"
        for fields in (["c", ""], ["c", b"\xff" * 300], ["other", "x"], ["c", "x" * 100_000], ["a", "b", "c", "d"]):
            redis("XADD", stream, "*", *fields)
        homes = known_to_both(machines)
        a.forget("s1")
        wait_until(lambda: b.server_of("s1") is None, "a change to come through")
        del homes["s1"]
        each_sticks(b, homes)


# Asked about nothing

def test_an_unknown_identifier_is_asked_for_once_a_second(redis):
    with Machines(redis, workers=1) as (a, b):
        with redis.monitor() as monitor:
            def asked():
                return len([line for line in monitor.like(b'"GET"', b"{sessions}:")])

            begin = time.monotonic()
            for _ in range(30):
                b.visit("forged")
            questions, taken = wait_until(asked, "a question"), time.monotonic() - begin
            assert questions <= 1 + int(taken), (questions, taken)
            wait_until(lambda: b.visit("forged") and asked() > questions, "it to be asked for again", 5)
            home = a.login("forged")  # it begins: the other one hears of it
            wait_until(lambda: b.visit("forged") == home and b.server_of("forged") == home, "it to be known")


# Confirmed

def test_with_confirm_the_client_has_its_answer_when_redis_has_the_session(redis, between):
    with through(between, redis, sticky="store=shared confirm") as (a, b):
        between.delay = 0.3
        for number in range(5):
            before = redis.sessions()
            assert seconds(lambda: a.login(f"s{number}")) > 0.25
            assert len(redis.sessions() - before) == 1
        between.delay = 0


def test_without_confirm_nobody_waits_for_redis_at_a_login(redis, between):
    with through(between, redis) as (a, b):
        between.delay = 0.5
        times = [seconds(lambda: a.login(f"s{number}")) for number in range(9)]
        assert sorted(times)[4] < 0.25, times


def test_with_confirm_a_login_waits_at_most_once_for_a_stopped_redis(redis):
    with Machines(redis, sticky="store=shared confirm", wait=WAIT_MS) as (a, b):
        redis.pause()
        waits_at_most_once([lambda i=i: a.login(f"s{i}") for i in range(30)])
        redis.resume()
