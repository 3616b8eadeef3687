"""Changes of shared sessions that are read late, or again: what is over begins nowhere, and nothing is undone."""
import concurrent.futures
import http.client

from machines import Machines
from middleman import Middleman
from waiting import wait_until

ENDED = ("miss", "expired")
SHORT = {"timeout": "3s", "sticky": "store=shared norefresh session_rotate=off"}


def begin_and_end(redis, machine, count=60):
    """So many sessions that live nowhere any more, but in the stream of changes."""
    ids = [f"s{i}" for i in range(count)]
    for session in ids:
        machine.login(session)
    wait_until(lambda: redis("XLEN", "limpet:{sessions}:changes") >= count, "them to be told")
    wait_until(lambda: not redis.sessions(), "their end in Redis")
    return ids


def learns_none_of(ids, machine, begin):
    begin.login("newer")
    wait_until(lambda: machine.server_of("newer"), "all changes to be read")
    assert not [session for session in ids if machine.server_of(session)]
    assert {machine.sticky(session) for session in ids} <= set(ENDED)


def test_a_machine_that_starts_learns_no_session_that_is_over(redis):
    with (machines := Machines(redis, count=1, **SHORT)) as (a,):
        ids = begin_and_end(redis, a)
        learns_none_of(ids, machines.add(), a)


def test_a_machine_that_comes_back_learns_no_session_that_is_over(redis):
    with Middleman(redis.port) as between, (machines := Machines(redis, **SHORT)) as (a, _):
        late = machines.add(where=f"server 127.0.0.1:{between.port};")
        machines.wait_ready()
        between.deaf = True
        between.cut()
        ids = begin_and_end(redis, a)
        between.deaf = False
        learns_none_of(ids, late, a)


def begin_many(machine, count, clients=4):
    """So many sessions, over connections that stay."""
    def begin(client):
        connection = http.client.HTTPConnection("127.0.0.1", machine.port)
        for number in range(client, count, clients):
            connection.request("GET", f"/login?other{number}")
            assert connection.getresponse().read() in (b"a", b"b", b"c")
        connection.close()

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(begin, client) for client in range(clients)]:
            done.result()


def records(redis, keys):
    return dict(zip(keys, redis("MGET", *keys)))


def test_a_redis_that_is_back_with_older_data_undoes_no_move(redis):
    """Nor where that is so long ago that no machine has a note of it."""
    with (machines := Machines(redis)) as (a, b):
        homes = machines.spread(60)
        # The last use is known to a tenth of a second: it is to be later than what Redis will have.
        wait_until(lambda: all(a.idle_of(session) > 200 for session in homes), "them to be older than that")
        for machine in (a, b):
            assert machine.visit_all(homes) == homes
        redis("SAVE")
        saved = records(redis, redis.sessions())
        for session, home in homes.items():
            homes[session] = "b" if home == "a" else "a"
            a.call("POST", f"sessions/sessions/{session}", {"move": {"to": a.address_of(homes[session])}})
        wait_until(lambda: {session: b.server_of(session) for session in homes} == homes, "the moves")
        moved = [key for key, record in records(redis, saved).items() if record != saved[key]]
        assert len(moved) >= len(homes)
        begin_many(a, 9000)
        wait_until(lambda: a.all_told() and b.active() > 9000, "the others")
        redis.restart()
        machines.wait_ready()
        wait_until(lambda: all(record != saved[key] for key, record in records(redis, moved).items()), "the moves in Redis")
        wait_until(lambda: len(redis.sessions()) >= 9060 and a.all_told() and b.all_told(), "all to be written anew")
        for machine in (a, b, machines.add()):
            assert machine.visit_all(homes) == homes


def test_an_end_that_redis_has_lost_is_told_again(redis):
    """To a machine that had not heard of it, and writes the session anew."""
    ends = {"sticky": "store=shared delete=$upstream_http_x_logout"}
    with Middleman(redis.port) as between, (machines := Machines(redis, count=1, **ends)) as (a,):
        b = machines.add(where=f"server 127.0.0.1:{between.port};")
        machines.wait_ready()
        homes = {f"s{i}": a.login(f"s{i}") for i in range(10)}
        wait_until(lambda: all(b.server_of(session) for session in homes), "them to be known")
        between.deaf = True
        between.cut()
        assert b.visit_all(homes) == homes
        for session in homes:
            a.logout(session)
        wait_until(a.all_told, "the ends to be told")
        redis("FLUSHALL")
        between.deaf = False
        wait_until(lambda: not any(b.server_of(session) for session in homes), "the ends to be heard of")
        assert {machine.sticky(session) for machine in (a, b) for session in homes} <= set(ENDED)
