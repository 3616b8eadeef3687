"""Shared sessions over reloads, new binaries, killed workers and restarts of a machine."""
import os
import signal

import pytest

from binaries import Binaries
from load import Load
from machines import STORE, Machines
from waiting import wait_until


def known_to_both(machines, count=60, name="s"):
    homes = machines.spread(count, name)
    for machine in machines.all:
        assert machine.visit_all(homes) == homes
    return homes


def changes_travel(a, b, homes, session):
    """Both ways: an end, and a new begin."""
    for here, there in ((a, b), (b, a)):
        here.forget(session)
        wait_until(lambda: there.server_of(session) is None, "the end")
        homes[session] = there.login(session)
        wait_until(lambda: here.server_of(session) == homes[session], "the begin")


def test_reloads_lose_nothing(redis):
    with (machines := Machines(redis)) as (a, b):
        homes = known_to_both(machines)
        for turn in range(3):
            a.change()
            for machine in (b, a):
                assert machine.visit_all(homes) == homes
            machines.wait_ready()
            changes_travel(a, b, homes, f"s{turn}")


def test_no_request_fails_over_reloads(redis):
    with (machines := Machines(redis)) as (a, b):
        homes = known_to_both(machines)
        sessions = [{"id": session} for session in list(homes)[:4]]

        def sticks(response, cookies):
            return response.status == 200 and response.text == homes[cookies["id"]]

        with Load(a.port, cookies=sessions, check=sticks) as first, Load(b.port, cookies=sessions, check=sticks) as second:
            for turn in range(4):
                (a, b)[turn % 2].change()
                first.more(30), second.more(30)


def test_a_store_that_is_turned_on_loses_no_session(redis):
    with (machines := Machines(redis)) as (_, b):
        late = machines.add(stores="", sticky="")
        homes = {f"s{i}": late.login(f"s{i}") for i in range(100)}
        late.change(stores=STORE, sticky="store=shared")
        for _ in range(2):
            assert late.visit_all(homes) == homes
        machines.wait_ready()
        assert late.visit_all(homes) == homes
        wait_until(lambda: b.visit_all(homes) == homes, "the others to know them")


def test_a_store_that_is_turned_off_loses_no_session(redis):
    with (machines := Machines(redis)) as (a, b):
        homes = known_to_both(machines)
        a.change(stores="", sticky="")
        for machine in (a, b):
            assert machine.visit_all(homes) == homes
        own = {f"own{i}": a.login(f"own{i}") for i in range(10)}
        assert a.visit_all(own) == own
        a.change(stores=STORE, sticky="store=shared")
        for machine in (a, b):
            assert machine.visit_all(homes) == homes
        assert a.visit_all(own) == own


def test_a_new_binary(redis):
    machines = Machines(redis)
    a, b = machines.all
    homes = known_to_both(machines)
    with machines, Binaries(a, workers=2) as both:
        both.upgrade()
        for machine in (a, b):
            assert machine.visit_all(homes) == homes
        both.end_old()
        for machine in (b, a):
            assert machine.visit_all(homes) == homes
        machines.wait_ready()
        changes_travel(a, b, homes, "s1")
        machines.all.remove(a)  # it is ended by its binaries


def test_killed_workers(redis):
    """One after the other: one of them has read the changes of the others."""
    with (machines := Machines(redis)) as (a, b):
        homes = known_to_both(machines)
        for turn, victim in enumerate(a.workers()):
            os.kill(victim, signal.SIGKILL)
            a.wait_log("exited on signal 9", turn + 1)
            wait_until(lambda: len(a.workers()) == 2 and victim not in a.workers(), "the new worker")
            for machine in (a, b):
                assert machine.visit_all(homes) == homes
            changes_travel(a, b, homes, f"s{turn}")
        machines.wait_ready()


def test_what_is_ended_while_redis_is_away_outlives_the_workers(redis):
    """By the API: no worker keeps it to itself before it can be told."""
    with (machines := Machines(redis)) as (a, b):
        homes = known_to_both(machines)
        redis.kill()
        wait_until(lambda: all(zone["asking_workers"] == 0 for zone in a.stored_zones()), "Redis to be lost")
        a.forget("s1")
        wait_until(lambda: all(zone["waiting"] == 1 for zone in a.stored_zones()), "a change that waits")
        workers = a.workers()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(a.workers()) == 2 and not set(a.workers()) & set(workers), "the new workers")
        redis.start()
        wait_until(lambda: b.server_of("s1") is None, "the end")
        del homes["s1"]
        for machine in (a, b):
            assert machine.visit_all(homes) == homes


LOGOUT = "store=shared delete=$upstream_http_x_logout"


def reload(machine):
    """Until the workers before have gone."""
    workers = machine.workers()
    machine.change()
    for pid in workers:
        machine.wait_log(rf"worker process {pid} exited")


def kill_workers(machine):
    workers = machine.workers()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(machine.workers()) == 2 and not set(machine.workers()) & set(workers), "the new workers")


@pytest.mark.parametrize("replace", [reload, kill_workers])
@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_logouts_while_redis_is_away_outlive_the_workers(redis, how, replace):
    with (machines := Machines(redis, wait="50ms", sticky=LOGOUT)) as (a, b):
        homes = known_to_both(machines, 20)
        ended = list(homes)[:10]
        redis.pause() if how == "stopped" else redis.kill()
        for session in ended[:5]:  # some before the loss is noticed
            a.logout(session)
        wait_until(lambda: a.visit("nobody") and all(zone["asking_workers"] == 0 for zone in a.stored_zones()),
                   "all workers to have asked in vain")
        a.wait_log(r'session store "shared".*is lost')
        for session in ended[5:]:
            a.logout(session)
        replace(a)
        redis.resume() if how == "stopped" else redis.start()
        wait_until(lambda: not any(b.server_of(session) for session in ended), "the ends")
        machines.wait_ready()
        assert {machine.sticky(session) for machine in (a, b) for session in ended} <= {"miss", "expired"}
        lives = {session: home for session, home in homes.items() if session not in ended}
        for machine in (a, b):
            assert machine.visit_all(lives) == lives


def test_what_the_api_has_ended_outlives_the_worker_that_has_sent_it(redis):
    """Redis hangs, and is not the same any more when it is back."""
    with (machines := Machines(redis, wait="50ms")) as (a, b):
        homes = known_to_both(machines, 20)
        redis.pause()
        for session in ("s3", "s4"):
            a.forget(session)
        a.wait_log(r'session store "shared".*is lost')
        reload(a)
        redis.restart()
        wait_until(lambda: not b.server_of("s3") and not b.server_of("s4"), "the ends")
        machines.wait_ready()
        assert {b.sticky("s3"), b.sticky("s4")} <= {"miss", "expired"}
        del homes["s3"], homes["s4"]
        assert b.visit_all(homes) == homes


def test_a_stopped_worker_hands_over_the_changes(redis):
    """The one that reads the changes stands still: another takes its place."""
    with (machines := Machines(redis, workers=3)) as (a, b):
        homes = known_to_both(machines)
        for turn, victim in enumerate(a.workers()):
            os.kill(victim, signal.SIGKILL)
            b.forget(f"s{turn}")
            wait_until(lambda: len(a.workers()) == 3, "the new worker")
            wait_until(lambda: a.server_of(f"s{turn}") is None, "the end")
            del homes[f"s{turn}"]
        assert a.visit_all(homes) == homes


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGTERM])
def test_a_restart_keeps_its_sessions_and_hears_what_it_missed(redis, how):
    with (machines := Machines(redis)) as (a, b):
        homes = known_to_both(machines)
        a.end(how)
        ids = list(homes)
        for session in ids[:10]:
            b.forget(session)
        for session in ids[10:20]:
            homes[session] = b.login(session)
        a.start()
        steady = {session: homes[session] for session in ids[20:]}
        assert a.visit_all(steady) == steady
        machines.wait_ready()
        wait_until(lambda: not any(a.visit(session) and a.server_of(session) for session in ids[:10]), "the ends")
        moved = {session: homes[session] for session in ids[10:20]}
        wait_until(lambda: a.visit_all(moved) == moved, "the moves")
        assert not any(b.server_of(session) for session in ids[:10]), "nor did it bring them back"
        assert b.visit_all(moved) == moved


def test_a_restart_without_redis_goes_on_with_what_it_had(redis):
    with (machines := Machines(redis, wait="50ms")) as (a, b):
        homes = known_to_both(machines)
        redis.pause()
        a.end()
        a.start()
        assert a.visit_all(homes) == homes
        redis.resume()
        machines.wait_ready()
        for machine in (a, b):
            assert machine.visit_all(homes) == homes


def test_what_was_learned_last_reaches_redis_when_a_machine_ends(redis):
    with (machines := Machines(redis)) as (a, b):
        for turn in range(5):
            last = {f"last{turn}-{i}": a.login(f"last{turn}-{i}") for i in range(5)}
            a.end()
            assert b.visit_all(last) == last
            a.start()
            machines.wait_ready()


def test_it_ends_soon_without_redis(redis):
    with Machines(redis, wait="50ms") as (a, _):
        redis.pause()
        for number in range(10):
            a.login(f"s{number}")
        assert a.end() == 0
        redis.resume()


def test_a_single_process(redis):
    with (machines := Machines(redis, main="master_process off;", workers=None, ready=False)) as (a, b):
        machines.wait_ready()
        homes = known_to_both(machines, 20)
        changes_travel(a, b, homes, "s1")
