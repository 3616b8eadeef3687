"""Machines that share their sessions through Redis: what one of them does is so at all others."""
import concurrent.futures
import random

import pytest

from machines import Machines, seconds
from waiting import PATIENCE, wait_until

AT_REST = 0.1 * PATIENCE / 20  # seconds until a change is everywhere


@pytest.fixture
def pair(redis):
    with Machines(redis) as both:
        yield both


def known_everywhere(machines, homes):
    """All sessions stick to their servers, whichever machine is asked."""
    wrong = {(machine.port, session): (home, found) for machine in machines for session, home in homes.items()
             if (found := machine.visit(session)) != home}
    assert not wrong, (len(wrong), dict(list(wrong.items())[:3]))


def followed(changes, at):
    """Each change is seen at another machine soon. A busy machine may be late with some: the middle one counts."""
    times = []
    for session, change in changes.items():
        times.append(seconds(lambda: (change(), wait_until(lambda: at(session), f"the change of {session}"))))
    assert sorted(times)[len(times) // 2] < AT_REST, times


def held_by(machine, homes):
    """The other machine has all of them in its zone."""
    known_everywhere([machine], homes)
    assert {session: machine.server_of(session) for session in homes} == homes
    return homes


# A session begins

def test_a_session_that_has_begun_at_one_is_known_at_all_others_at_once(redis):
    with Machines(redis, count=3) as machines:
        for number in range(150):
            begin, *others = random.sample(machines, 3)
            home = begin.login(f"s{number}")
            assert [machine.visit(f"s{number}") for machine in (*others, begin)] == 3 * [home]


def test_the_same_with_many_clients_at_once(redis):
    """Redis may read what two machines have sent it in another order than it was sent; `confirm` waits for its answer."""
    with Machines(redis, sticky="store=shared confirm", wait="5s") as machines:
        def live(client):
            for number in range(60):
                begin, other = random.sample(machines, 2)
                home = begin.login(f"{client}-{number}")
                assert other.visit(f"{client}-{number}") == begin.visit(f"{client}-{number}") == home

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for done in [pool.submit(live, client) for client in range(6)]:
                done.result()


def test_a_hit_asks_nobody(pair, redis):
    a, b = pair
    homes = held_by(b, {f"s{i}": a.login(f"s{i}") for i in range(10)})

    def asks_nobody():
        with redis.monitor() as monitor:
            known_everywhere(pair, homes)
            redis("ECHO", "the end")
            wait_until(lambda: monitor.like(b"the end"), "the end")
            return all(b"changes" in line for line in monitor.like(b"{sessions}:"))

    # Sessions of a machine's first moments are looked at once more: their changes may have been missed.
    wait_until(lambda: all(asks_nobody() for _ in range(4)), "four rounds without a question")


def test_no_identifier_is_readable_in_redis(pair, redis):
    a, _ = pair
    with redis.monitor() as monitor:
        for number in range(20):
            a.login(f"readable-{number}")
        wait_until(lambda: len(redis.sessions()) >= 20, "the sessions")
        told = b"".join(monitor.lines)
    stored = [key + redis("GET", key) for key in redis.sessions()]
    stream = repr(redis("XRANGE", "limpet:{sessions}:changes", "-", "+")).encode()
    assert not [place for place in (*stored, stream, told) if b"readable" in place]


def test_a_record_is_small(pair, redis):
    a, _ = pair
    for number in range(20):
        a.login(f"s{number}")
    key = sorted(redis.sessions())[0]
    assert redis("MEMORY", "USAGE", key) < 150


# It ends

def test_a_session_that_is_forgotten_is_gone_elsewhere(pair):
    a, b = pair
    homes = held_by(b, {f"s{i}": a.login(f"s{i}") for i in range(9)})
    ends = {session: lambda session=session: a.forget(session) for session in homes}
    followed(ends, lambda session: b.server_of(session) is None)
    for session in homes:  # nobody brings it back
        assert {b.sticky(session), a.sticky(session)} == {"miss"}
        assert a.server_of(session) is None and b.server_of(session) is None


def test_a_session_may_be_forgotten_on_the_command_line(pair):
    a, b = pair
    held_by(b, {"mine": a.login("mine")})
    assert a.run("forget", "sessions", "mine").stdout == "1 session forgotten\n"
    wait_until(lambda: b.server_of("mine") is None, "it to be forgotten")


def test_it_may_begin_again(pair):
    a, b = pair
    for turn in range(6):
        begin, other = (a, b) if turn % 2 else (b, a)
        held_by(other, {"again": begin.login("again")})
        other.forget("again")
        wait_until(lambda: begin.server_of("again") is None, "it to be forgotten")


def test_all_sessions_of_a_server_are_forgotten_everywhere(pair):
    a, b = pair
    homes = held_by(b, {f"s{i}": a.login(f"s{i}") for i in range(60)})
    a.call("DELETE", f"sessions/sessions?server={a.address_of('a')}")
    mine = [session for session, home in homes.items() if home == "a"]
    assert mine
    wait_until(lambda: not any(b.server_of(session) for session in mine), "a's sessions to be gone")
    assert all(b.server_of(session) == home for session, home in homes.items() if home != "a")


LOGOUT = "store=shared delete=$upstream_http_x_logout"


def test_a_logout_ends_the_session_everywhere(redis):
    with Machines(redis, sticky=LOGOUT) as (a, b):
        homes = held_by(b, {f"s{i}": a.login(f"s{i}") for i in range(9)})
        logouts = {session: lambda session=session: a.logout(session) for session in homes}
        followed(logouts, lambda session: b.server_of(session) is None)
        assert {machine.sticky(session) for machine in (a, b) for session in homes} == {"miss"}


def test_a_logout_where_the_session_is_not_yet_known(redis):
    with Machines(redis, sticky=LOGOUT) as (a, b):
        home = a.login("mine")
        assert b.logout("mine") == home
        wait_until(lambda: a.server_of("mine") is None, "the end")
        assert b.server_of("mine") is None and {a.sticky("mine"), b.sticky("mine")} == {"miss"}


def test_a_logout_on_one_machine_without_a_store():
    with Machines(count=1, ready=False, stores="", sticky="delete=$upstream_http_x_logout") as (a,):
        homes = {f"s{i}": a.login(f"s{i}") for i in range(6)}
        assert {session: a.logout(session) for session in homes} == homes
        assert not any(a.server_of(session) for session in homes)
        homes = {session: a.login(session) for session in homes}
        assert a.visit_all(homes) == homes


# It moves

def test_sessions_that_are_moved_at_one_are_moved_at_the_other(pair):
    a, b = pair
    homes = held_by(b, {f"s{i}": a.login(f"s{i}") for i in range(60)})
    change = {"move": {"from": a.address_of("a"), "to": a.address_of("b")}}
    moved = a.call("POST", "sessions/sessions", change)["moved"]
    expected = {session: "b" if home == "a" else home for session, home in homes.items()}
    assert moved >= sum(home == "a" for home in homes.values()) > 0
    wait_until(lambda: all(b.server_of(session) == home for session, home in expected.items()), "them to be moved")
    known_everywhere(pair, expected)


def test_a_session_whose_server_has_failed_lives_at_its_new_server_everywhere(redis):
    machines = Machines(redis)
    with machines as (a, b):
        homes = held_by(b, {f"s{i}": a.login(f"s{i}") for i in range(60)})
        mine = [session for session, home in homes.items() if home == "a"][:9]
        machines.origins["a"].stop()
        followed({session: lambda session=session: homes.update({session: a.visit(session)}) for session in mine},
                 lambda session: b.server_of(session) == homes[session] != "a")
        machines.origins["a"].start()
        known_everywhere((b, a), {session: homes[session] for session in mine})


def test_a_session_whose_server_is_drained_away_moves_everywhere(pair):
    a, b = pair
    homes = held_by(b, {f"s{i}": a.login(f"s{i}") for i in range(30)})
    a.call("PATCH", f"upstreams/app/peers/{a.address_of('a')}", {"drain": True, "deadline": "1s"})
    mine = [session for session, home in homes.items() if home == "a"]
    new = {session: wait_until(lambda: (home := a.visit(session)) != "a" and home, "the end of the drain") for session in mine}
    wait_until(lambda: all(b.server_of(session) == home for session, home in new.items()), "them to be moved")
    known_everywhere(pair, new)


@pytest.mark.parametrize("way", ["forgotten", "moved"])
def test_a_session_that_is_forgotten_or_moved_by_hand_has_no_way_back_anywhere(redis, way):
    with Machines(redis, sticky="store=shared confirm; sticky_policy failback=immediate") as (a, b):
        servers = "abc"
        home = a.login("mine")
        a.call("PATCH", f"upstreams/app/peers/{a.address_of(home)}", {"down": True})
        first = a.visit("mine")
        wait_until(lambda: b.server_of("mine") == first, "the session at the other machine")
        if way == "forgotten":
            b.forget("mine")
            wait_until(lambda: a.server_of("mine") is None, "its end")
            there = a.login("mine")
        else:
            (there,) = set(servers) - {home, first}
            b.call("POST", "sessions/sessions/mine", {"move": {"to": b.address_of(there)}})
        wait_until(lambda: a.server_of("mine") == b.server_of("mine") == there, "the session at both")
        a.call("PATCH", f"upstreams/app/peers/{a.address_of(home)}", {"down": False})
        assert [machine.visit("mine") for machine in (a, b, a, b)] == 4 * [there]


def test_the_last_login_counts(pair):
    """One that logs in again at another server is there from then on, whichever machine it was before."""
    a, b = pair
    for number in range(30):
        first = a.login(f"s{number}")
        assert b.visit(f"s{number}") == first
        begin, other = (b, a) if number % 2 else (a, b)
        last = begin.login(f"s{number}")
        wait_until(lambda: other.server_of(f"s{number}") == last, "the last login")
        known_everywhere((other, begin), {f"s{number}": last})


# A machine comes

def test_a_new_machine_serves_every_session_from_its_first_request(redis):
    machines = Machines(redis, count=1)
    with machines as (a,):
        homes = {f"s{i}": a.login(f"s{i}") for i in range(100)}
        known_everywhere([machines.add()], homes)


def test_a_machine_that_begins_anew_knows_all(redis):
    with Machines(redis) as (a, b):
        homes = {f"s{i}": a.login(f"s{i}") for i in range(100)}
        known_everywhere([b], homes)
        b.begin_anew()
        known_everywhere([b], homes)
        assert b.active() >= len(homes)


def test_a_machine_that_begins_anew_knows_no_session_that_has_ended(redis):
    with Machines(redis) as machines:
        a, b = machines
        homes = held_by(b, {f"s{i}": a.login(f"s{i}") for i in range(20)})
        for session in homes:
            a.forget(session)
        b.begin_anew()
        assert {b.sticky(session) for session in homes} == {"miss"}
