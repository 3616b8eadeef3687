"""Shared sessions of machines that do not have the same servers, keys, zones or clocks."""
import os

import pytest

from machines import STORE, Machines, write_secret
from waiting import wait_until

CLOCK_LIBRARY = os.environ.get("OTHER_CLOCK_LIBRARY", "")


# Servers

def test_servers_in_another_order(redis):
    machines = Machines(redis, count=1)
    with machines as both:
        machines.add(servers=" ".join(machines.server(name) for name in "cba"))
        machines.wait_ready()
        homes = machines.spread(40)
        assert set(homes.values()) == set("abc")
        for machine in both:
            assert machine.visit_all(homes) == homes


@pytest.mark.parametrize("name", ["route", "sid"])
def test_an_id_is_who_a_server_is_whatever_its_address(redis, name):
    """At the second machine `one` has the address that `two` has at the first."""
    machines = Machines(redis, count=0, origins="ab")

    def ids(first, second):
        ports = [machines.origins[origin].port for origin in (first, second)]
        return f"server 127.0.0.1:{ports[0]} {name}=one; server 127.0.0.1:{ports[1]} {name}=two;"

    with machines:
        first, second = machines.add(servers=ids("a", "b")), machines.add(servers=ids("b", "a"))
        second.names = {address: {"a": "b", "b": "a"}[origin] for address, origin in first.names.items()}
        wait_until(lambda: all(first.login(session := machines.new_id()) and second.sticky(session) != "miss" and
                               second.server_of(session) for _ in range(8)), "sessions to travel")
        for number in range(20):
            home = first.login(f"s{number}")
            assert second.visit(f"s{number}") == {"a": "b", "b": "a"}[home]


def test_a_session_of_a_server_that_one_machine_does_not_know_is_a_miss_there_and_stays(redis):
    machines = Machines(redis)
    with machines as (a, b):
        poor = machines.add(servers=machines.server("a") + machines.server("b"))
        machines.wait_ready([a, b])
        wait_until(lambda: (session := machines.new_id()) and a.login(session) == "a" and poor.server_of(session) or
                   poor.visit(session) and poor.server_of(session), "sessions to travel")
        homes = {f"s{i}": a.login(f"s{i}") for i in range(40)}
        strange = [session for session, home in homes.items() if home == "c"]
        assert strange
        for session in strange:
            assert poor.visit(session) in "ab"
            assert poor.sticky(session) == "miss" and poor.server_of(session) is None
        known = {session: home for session, home in homes.items() if home != "c"}
        assert poor.visit_all(known) == known
        assert b.visit_all(homes) == homes, "Redis has them still"
        assert a.visit_all(homes) == homes


def test_a_server_that_is_added_later_is_known_from_then_on(redis):
    machines = Machines(redis)
    with machines as (a, b):
        late = machines.add(servers=machines.server("a") + machines.server("b"))
        homes = {f"s{i}": a.login(f"s{i}") for i in range(40)}
        late.visit_all(homes)
        late.change(servers=a.values["servers"])
        wait_until(lambda: late.visit_all(homes) == homes, "all to be found")


# Keys

def test_another_key_file_finds_nothing_and_harms_nothing(redis):
    machines = Machines(redis)
    with machines as (a, b):
        write_secret(f"{machines.keys}/other.key")
        strange = machines.add(key_file="key_file {keys}/other.key;")
        homes = {f"s{i}": a.login(f"s{i}") for i in range(30)}
        for session in homes:
            assert strange.visit(session) in "abc" and strange.server_of(session) is None
        assert b.visit_all(homes) == homes
        own = {session: strange.login(session) for session in homes}
        assert strange.visit_all(own) == own and own != homes
        assert b.visit_all(homes) == a.visit_all(homes) == homes


def test_a_change_of_key_in_three_steps_loses_no_session(redis):
    machines = Machines(redis)
    with machines as both:
        write_secret(f"{machines.keys}/two.key")
        homes = machines.spread(30, "before")
        for names in (("one", "two"), ("two", "one"), ("two",)):
            for machine in both:
                machine.change(key_file="".join(f"key_file {{keys}}/{name}.key; " for name in names))
                machines.wait_ready()
                for number in range(10):  # whichever has the new keys already
                    session = f"{machine.port}-{'-'.join(names)}-{number}"
                    homes[session] = both[number % 2].login(session)
                for one in both:
                    assert one.visit_all(homes) == homes
        new = machines.add()
        new.change(key_file="key_file {keys}/two.key;")
        assert new.visit_all(homes) == homes


def test_what_ends_while_the_key_changes_has_ended(redis):
    """Sessions that are still under the earlier key, in zones and in Redis, end with it."""
    machines = Machines(redis, sticky="store=shared delete=$upstream_http_x_logout")
    with machines as both:
        a, b = both
        write_secret(f"{machines.keys}/two.key")
        homes = {f"s{i}": a.login(f"s{i}") for i in range(8)}
        assert b.visit_all(homes) == homes
        for machine in both:
            machine.change(key_file="key_file {keys}/two.key {keys}/one.key;")
        machines.wait_ready()
        assert a.visit("s0") == homes["s0"]  # brought under the new key; the others are not
        for session in ("s0", "s1"):
            a.logout(session)
        for session in ("s2", "s3"):
            a.forget(session)
        ended = ["s0", "s1", "s2", "s3"]
        wait_until(lambda: all(b.sticky(session) == "miss" for session in ended), "the ends")
        new = machines.add()
        new.change(key_file="key_file {keys}/two.key {keys}/one.key;")
        for machine in (a, new):
            assert {session: machine.server_of(session) for session in ended} == dict.fromkeys(ended)
        stay = {session: home for session, home in homes.items() if session not in ended}
        for machine in (a, b, new):
            assert machine.visit_all(stay) == stay


@pytest.mark.parametrize("how", ["stopped", "killed", "upgraded"])
def test_sessions_from_before_there_was_a_store_outlive_its_first_processes(redis, how):
    """They are not used before, so Redis does not have them."""
    machines = Machines(redis, count=0, ready=False)
    with machines:
        a = machines.add(stores="", sticky="")
        homes = {f"s{i}": a.login(f"s{i}") for i in range(20)}
        a.change(stores=STORE, sticky="store=shared")
        wait_until(a.all_ask, "all workers to ask Redis")
        if how == "upgraded":
            a.change_binary()
        else:
            a.end() if how == "stopped" else a.kill_all()
            a.start()
        wait_until(a.all_ask, "all workers to ask Redis")
        assert {a.sticky(session) for session in homes} == {"hit"}
        assert a.visit_all(homes) == homes
        assert machines.add().visit_all(homes) == homes, "from Redis"


@pytest.mark.parametrize("key", ["one", "two"])
def test_sessions_of_a_server_that_has_gone_stay_where_they_are_served_from_then_on(redis, key):
    """Also where the key changes by the same reload."""
    machines = Machines(redis)
    with machines as both:
        write_secret(f"{machines.keys}/two.key")
        homes = machines.spread(30)
        for machine in both:
            assert machine.visit_all(homes) == homes
        for machine in both:
            machine.change(servers=machines.server("a") + machines.server("b"),
                           key_file=f"key_file {{keys}}/{key}.key" + (" {keys}/one.key;" if key == "two" else ";"))
        machines.wait_ready()
        a, b = both
        for session, home in homes.items():
            served = {a.visit(session) for _ in range(4)}
            assert len(served) == 1 and (served == {home} or home == "c")
            homes[session] = served.pop()
        wait_until(lambda: b.visit_all(homes) == homes, "the moves")


def test_what_the_api_forgets_of_a_server_while_the_key_changes_has_ended(redis):
    machines = Machines(redis)
    with machines as (a, b):
        write_secret(f"{machines.keys}/two.key")
        homes = machines.spread(30)
        for machine in (a, b):
            assert machine.visit_all(homes) == homes
        for machine in (a, b):
            machine.change(key_file="key_file {keys}/two.key {keys}/one.key;")
        machines.wait_ready()
        gone = [session for session, home in homes.items() if home == "a"]
        a.visit(gone[0])  # brought under the new key
        for machine in (a, b):
            machine.call("DELETE", f"sessions/sessions?server={machine.address_of('a')}")
        wait_until(lambda: a.all_told() and b.all_told(), "the ends to be told")
        for machine in (a, b, machines.add(key_file="key_file {keys}/two.key {keys}/one.key;")):
            assert {machine.sticky(session) for session in gone} == {"miss"}


# Zones

def test_two_zones_of_one_store_do_not_meet(redis):
    machines = Machines(redis)
    with machines as (a, b):
        other = machines.add(zone="others")
        homes = {f"s{i}": a.login(f"s{i}") for i in range(20)}
        assert {other.sticky(session) for session in homes} == {"miss"}
        own = {session: other.login(session) for session in homes}
        wait_until(lambda: len(redis.sessions("others")) >= 20, "the other zone's sessions")
        assert other.visit_all(own) == own and b.visit_all(homes) == homes


@pytest.mark.parametrize("more", [{"prefix": "mine:"}, {"database": 3}])
def test_a_prefix_and_a_database_of_its_own(redis, more):
    store = " ".join(f"{name} {value};" for name, value in more.items())
    with Machines(redis, store=store) as (a, b):
        homes = {f"s{i}": a.login(f"s{i}") for i in range(20)}
        assert b.visit_all(homes) == homes
        assert len(redis.sessions(**more)) >= 20 and not redis.sessions()


# Clocks

@pytest.mark.skipif(not os.path.exists(CLOCK_LIBRARY), reason="without the library that sets a clock")
@pytest.mark.parametrize("ahead", [10, -10])
def test_clocks_that_are_apart(redis, monkeypatch, ahead):
    machines = Machines(redis, count=1)
    with machines as (right,):
        monkeypatch.setenv("LD_PRELOAD", CLOCK_LIBRARY)
        monkeypatch.setenv("OTHER_CLOCK", str(ahead))
        wrong = machines.add()
        monkeypatch.undo()
        machines.wait_ready()
        homes = machines.spread(30)
        for turn in range(3):
            for machine, other in ((right, wrong), (wrong, right)):
                assert machine.visit_all(homes) == homes
                for session in homes:
                    homes[session] = machine.login(session)
                wait_until(lambda: {session: other.server_of(session) for session in homes} == homes, "the last logins")
                gone = f"s{turn}"
                machine.forget(gone)
                wait_until(lambda: other.server_of(gone) is None, "it to be forgotten")
                homes[gone] = other.login(gone)
                wait_until(lambda: machine.server_of(gone) == homes[gone], "its new begin")


@pytest.mark.skipif(not os.path.exists(CLOCK_LIBRARY), reason="without the library that sets a clock")
class TestAClockThatWasDaysAhead:
    @pytest.fixture
    def three(self, redis, monkeypatch):
        """Two that are right, one that is not, and sessions that this one has told Redis of."""
        machines = Machines(redis)
        with machines as (a, b):
            monkeypatch.setenv("LD_PRELOAD", CLOCK_LIBRARY)
            monkeypatch.setenv("OTHER_CLOCK", str(3 * 24 * 3600))
            wrong = machines.add()
            monkeypatch.undo()
            wait_until(wrong.all_ask, "all workers to ask Redis")
            self.homes = {f"s{i}": wrong.login(f"s{i}") for i in range(12)}
            wait_until(wrong.all_told, "them to be in Redis")
            yield a, b, wrong

    def test_its_records_give_way(self, three):
        a, b, _ = three
        homes = {session: a.login(session) for session in self.homes}
        assert {b.sticky(session) for session in homes} == {"hit"}
        assert b.visit_all(homes) == homes

    def test_its_sessions_are_told_anew_when_it_is_right_again(self, three):
        a, b, wrong = three
        wrong.end()
        wrong.start()
        for machine in (a, b):
            wait_until(lambda: machine.visit_all(self.homes) == self.homes, "all to be found")
        assert wrong.visit_all(self.homes) == self.homes


# Zones of other sizes

def test_sessions_beyond_a_full_zone_stick(redis):
    """It gives up none (session_rotate=off), and the store knows the others."""
    with (machines := Machines(redis, count=1, sticky="store=shared session_rotate=off delete=$upstream_http_x_logout")) as (a,):
        b = machines.add(size="32k")
        wait_until(b.all_ask, "all workers to ask Redis")
        capacity = b.call("GET", "sessions/sessions")["capacity"]
        filled = [b.login(f"full{i}") for i in range(capacity)]
        assert b.active() == capacity == len(filled)
        homes = {f"s{i}": machine.login(f"s{i}") for i, machine in enumerate([a, b] * 10)}
        for machine in (b, a, b):
            assert machine.visit_all(homes) == homes
        assert {b.sticky(session) for session in homes} <= {"asked", "hit"} and b.active() == capacity
        machines.origins["a"].stop()
        moved = b.visit_all(homes)
        assert {session: home for session, home in moved.items() if homes[session] != "a"} == {
            session: home for session, home in homes.items() if home != "a"}
        assert "a" not in moved.values()
        wait_until(lambda: a.visit_all(homes) == moved, "what has moved")
        assert b.visit_all(homes) == moved
        session = next(iter(homes))
        b.logout(session)
        wait_until(lambda: a.server_of(session) is None, "the end of a session")
        wait_until(lambda: b.sticky(session) == "miss", "its end at all workers")
