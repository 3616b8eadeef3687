"""The ways to a Redis: sockets, names, several servers, Sentinels, TLS, users and passwords."""
import os

import pytest

from certificates import Authority
from client import get
from dns import NameServer
from machines import Machines, seconds, write_secret
from ports import free_port
from redis_client import RedisError
from redis_server import SENTINEL_MASTER, RedisServer, Sentinels, make_cluster
from waiting import wait_until


def shares(machines, name, count=20):
    """Sessions that begin now are known at all machines, and what ends at one has ended at the next."""
    homes = machines.spread(count, name)
    for machine in machines.all:
        assert machine.visit_all(homes) == homes
    first, second = machines.all[:2]
    (session, _) = homes.popitem()
    first.forget(session)
    wait_until(lambda: second.server_of(session) is None, "the end of a session")
    return homes


def travels_at_once(machines, count=20):
    """Sessions that begin at any worker are known to all of the other machine."""
    first, second = machines.all[:2]
    for begin, end in ((first, second), (second, first)):
        ids = [machines.new_id() for _ in range(count)]
        for session in ids:
            begin.login(session)
        if any(end.sticky(session) not in ("hit", "asked") for session in ids):
            return False
    return True


def test_a_unix_socket(redis):
    with (machines := Machines(redis, where=f"server unix:{redis.socket};")):
        shares(machines, "s")
        assert redis.info("connected_clients") != "1"


def test_the_next_server_is_taken_when_one_is_not_there(redis):
    nobody = free_port()
    with (machines := Machines(redis, where=f"server 127.0.0.1:{nobody}; server 127.0.0.1:{redis.port};")):
        shares(machines, "s")


def test_the_next_server_is_taken_when_one_dies(redis):
    with RedisServer() as second:
        where = f"server 127.0.0.1:{redis.port}; server 127.0.0.1:{second.port};"
        with (machines := Machines(redis, where=where)) as both:
            homes = shares(machines, "before")
            redis.kill()
            machines.wait_ready()
            shares(machines, "after")
            for machine in both:
                assert machine.visit_all(homes) == homes


def test_a_replica_is_not_written_to(redis):
    """Named first by mistake: the master is taken, which stands second."""
    with RedisServer(f"replicaof 127.0.0.1 {redis.port}") as replica:
        wait_until(lambda: replica.info("master_link_status") == "up", "the replica")
        with (machines := Machines(redis, where=f"server 127.0.0.1:{replica.port}; server 127.0.0.1:{redis.port};")):
            shares(machines, "s")


def test_a_name_is_resolved_again():
    with NameServer() as dns, RedisServer(address="127.0.1.1") as first, \
            RedisServer(address="127.0.1.2", port=first.port) as second:
        dns.set(redis=["127.0.1.1"])
        http = f"resolver 127.0.0.1:{dns.port} valid=1s ipv6=off;"
        with (machines := Machines(first, where=f"server redis.test:{first.port};", http=http)) as both:
            homes = shares(machines, "before")
            assert first.sessions() and not second.sessions()
            dns.set(redis=["127.0.1.2"])
            first.kill()
            machines.wait_ready()
            shares(machines, "after")
            assert second.sessions()
            for machine in both:
                assert machine.visit_all(homes) == homes


def test_a_name_that_does_not_resolve_harms_no_request():
    with NameServer() as dns:
        http = f"resolver 127.0.0.1:{dns.port} valid=1s ipv6=off;"
        with Machines(where="server nobody.test:6379;", http=http, ready=False) as (a, b):
            homes = {f"s{i}": a.login(f"s{i}") for i in range(20)}
            assert a.visit_all(homes) == homes
            assert get(b.port, cookies={"id": "s1"}).status == 200
            a.wait_log("nobody.test")


def test_a_cluster_says_which_of_its_servers_has_a_zone():
    with RedisServer("cluster-enabled yes") as first, RedisServer("cluster-enabled yes") as second:
        make_cluster(first, second)
        with (machines := Machines(first)):
            shares(machines, "s")
            assert len(second.sessions()) >= 10 and not first.sessions()


@pytest.fixture
def cluster():
    """Of the two the second has the zone."""
    with RedisServer("cluster-enabled yes") as first, RedisServer("cluster-enabled yes") as second:
        make_cluster(first, second)
        yield first, second


def no_loss(machines):
    return not any(machine.log_lines("is lost") for machine in machines)


def test_no_session_is_lost_on_the_way_through_a_cluster(cluster):
    first, second = cluster
    with Machines(second, where=f"server 127.0.0.1:{first.port};", count=3) as (*others, late):
        homes = {f"s{i}": others[i % 2].login(f"s{i}") for i in range(40)}
        wait_until(lambda: len(second.sessions()) >= 40, "the sessions in Redis")
        late.begin_anew()
        wait_until(late.all_ask, "all workers to ask Redis")
        assert late.visit_all(homes) == homes
        late.reload()
        wait_until(late.all_ask, "new workers to ask Redis")
        more = {f"more{i}": late.login(f"more{i}") for i in range(20)}
        assert late.visit_all(more) == more
        assert no_loss([*others, late])


def test_a_cluster_that_names_its_servers(cluster):
    first, second = cluster
    for server in cluster:
        server("CONFIG", "SET", "cluster-announce-hostname", "localhost")
        server("CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
    wait_until(lambda: "localhost" in _moved(first), "the name to be known")
    with (machines := Machines(second, where=f"server localhost:{first.port};")):
        shares(machines, "s")
        assert no_loss(machines.all)


def _moved(server):
    with server.client() as client, pytest.raises(RedisError) as error:
        client("GET", "{sessions}")
    return str(error.value)


def test_a_cluster_that_nobody_has_told_its_names(cluster):
    """`MOVED 3999 :6381`: the same host, another port."""
    first, second = cluster
    first("CONFIG", "SET", "cluster-preferred-endpoint-type", "unknown-endpoint")
    with (machines := Machines(second, where=f"server 127.0.0.1:{first.port};")):
        shares(machines, "s")


def test_a_cluster_without_the_slot_is_lost_once(cluster):
    first, second = cluster
    with Machines(second, where=f"server 127.0.0.1:{first.port};") as (a, _):
        slot = first("CLUSTER", "KEYSLOT", "{sessions}")
        for server in cluster:
            server("CLUSTER", "DELSLOTS", slot)
        a.wait_log("is lost")
        tries = int(first.info("total_connections_received"))
        wait_until(lambda: int(first.info("total_connections_received")) > tries + 8, "more tries")
        assert len(a.log_lines("is lost")) <= 2 and not a.log_lines("is back")
        second("CLUSTER", "ADDSLOTS", slot)
        a.wait_log("is back")


# Sentinels

def sentinel_lines(ports):
    return " ".join(f"server 127.0.0.1:{port};" for port in ports) + f" sentinel {SENTINEL_MASTER};"


def test_a_failover_is_followed():
    with Sentinels() as sentinels:
        master = sentinels.master()
        with (machines := Machines(master, where=sentinel_lines(sentinels.ports))) as both:
            homes = shares(machines, "before", 100)
            wait_until(lambda: sentinels.servers[1].sessions() == master.sessions(), "the replica to have them")
            after = sentinels.fail_over()
            homes |= {f"meanwhile{i}": both[i % 2].login(f"meanwhile{i}") for i in range(40)}
            wait_until(lambda: all(machine.all_told() for machine in both), "all workers to be there")
            wait_until(lambda: travels_at_once(machines), "sessions to travel at once")
            shares(machines, "after")
            for machine in both:
                assert machine.visit_all(homes) == homes
            assert len(after.sessions()) >= 139
            fresh = machines.add()
            assert fresh.visit_all(homes) == homes


def test_sentinels_that_name_the_master():
    with Sentinels(names=True) as sentinels:
        where = sentinel_lines(sentinels.ports).replace("127.0.0.1", "localhost")
        with (machines := Machines(sentinels.master(), where=where)):
            shares(machines, "s")


def test_sentinels_with_a_password(tmp_path):
    with Sentinels(password="swordfish") as sentinels:
        where = sentinel_lines(sentinels.ports)
        right = write_secret(tmp_path / "right.pw", b"swordfish")
        with (machines := Machines(sentinels.master(), where=f"{where} sentinel_password_file {right};")):
            shares(machines, "s")
            sentinels.fail_over()
            wait_until(lambda: travels_at_once(machines), "sessions to travel at once")
        with Machines(where=where, ready=False, count=1) as (without,):
            without.login("s")
            without.wait_log('is lost: Sentinel says "NOAUTH')


def test_a_sentinel_that_is_dead_is_passed_over():
    with Sentinels() as sentinels:
        sentinels.sentinels[0].kill()
        with (machines := Machines(sentinels.servers[0], where=sentinel_lines(sentinels.ports))):
            shares(machines, "s")


def test_a_master_that_is_asked_for_work_and_has_become_a_replica_is_left():
    """A failover that was ordered: the old master lives on, and takes no writes."""
    with Sentinels() as sentinels:
        before = sentinels.master()
        with (machines := Machines(before, where=sentinel_lines(sentinels.ports))) as both:
            homes = shares(machines, "before")
            assert sentinels.sentinels[0]("SENTINEL", "FAILOVER", SENTINEL_MASTER) == b"OK"
            after = wait_until(lambda: (now := sentinels.master()) is not before and now, "the failover", 60)
            wait_until(lambda: before.role() == "slave", "the old master to be a replica")
            machines.wait_ready()
            shares(machines, "after")
            for machine in both:
                assert machine.visit_all(homes) == homes
            assert after.role() == "master"


def test_a_master_that_becomes_a_replica_while_it_is_listened_to_refuses_nothing():
    """A switch by hand: it says so to who waits for changes. That is no command that it refuses."""
    options = "repl-diskless-sync-delay 0"
    with RedisServer(options) as before, RedisServer(options, f"replicaof 127.0.0.1 {before.port}") as after:
        wait_until(lambda: after.info("master_link_status") == "up", "the replica")
        servers = f"server 127.0.0.1:{before.port}; server 127.0.0.1:{after.port};"
        with (machines := Machines(before, where=servers)) as both:
            wait_until(lambda: int(before.info("blocked_clients")) >= 2, "both to listen")
            after("REPLICAOF", "NO", "ONE")
            before("REPLICAOF", "127.0.0.1", after.port)
            machines.wait_ready()
            shares(machines, "after")
            for machine in both:
                assert not machine.log_lines("has refused a command")
                assert [zone["invalid"] for zone in machine.stored_zones()] == [0]


# TLS

@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    os.chmod(folder, 0o755)
    authority = Authority(folder)
    authority.issue("redis.test")
    authority.issue("limpet.test")
    Authority(folder, "stranger")
    return folder


def test_tls(certificates):
    with RedisServer(certificates=certificates) as redis:
        store = f"tls on; tls_trusted_certificate {certificates}/ca.crt; tls_name redis.test;"
        with (machines := Machines(redis, store=store)):
            shares(machines, "s")


def test_tls_with_a_certificate_of_limpets_own(certificates):
    with RedisServer("tls-auth-clients yes", certificates=certificates) as redis:
        store = (f"tls on; tls_trusted_certificate {certificates}/ca.crt; tls_name redis.test;"
                 f"tls_certificate {certificates}/limpet.test.crt; tls_certificate_key {certificates}/limpet.test.key;")
        with (machines := Machines(redis, store=store)):
            shares(machines, "s")


@pytest.mark.parametrize("authority, name", [("stranger", "redis.test"), ("ca", "other.test")])
def test_a_certificate_that_is_not_trusted_is_not_spoken_to(certificates, authority, name):
    with RedisServer(certificates=certificates) as redis:
        store = f"tls on; tls_trusted_certificate {certificates}/{authority}.crt; tls_name {name};"
        with Machines(redis, store=store, ready=False) as (a, b):
            homes = {f"s{i}": a.login(f"s{i}") for i in range(20)}
            assert a.visit_all(homes) == homes
            a.wait_log(r'session store "shared".*certificate')
            assert not redis.sessions()


def test_plain_text_to_a_server_that_speaks_tls(certificates):
    with RedisServer(certificates=certificates) as redis, Machines(redis, ready=False) as (a, _):
        homes = {f"s{i}": a.login(f"s{i}") for i in range(20)}
        assert a.visit_all(homes) == homes
        a.wait_log(r'session store "shared"')


# Users and passwords

def password_file(folder, text):
    return write_secret(folder / "redis.pw", text.encode())


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_password(tmp_path, end):
    file = password_file(tmp_path, "open-sesame" + end)
    with RedisServer(password="open-sesame") as redis, \
            (machines := Machines(redis, store=f"password_file {file};")):
        shares(machines, "s")


def test_a_wrong_password_harms_no_request_and_the_right_one_is_read_at_hup(tmp_path):
    file = password_file(tmp_path, "hunter2-wrong")
    with RedisServer(password="open-sesame") as redis:
        machines = Machines(redis, store=f"password_file {file};", ready=False)
        with machines as both:
            homes = machines.spread(20)
            for number, machine in enumerate(both):
                mine = {s: home for i, (s, home) in enumerate(homes.items()) if i % 2 == number}
                assert machine.visit_all(mine) == mine
                machine.wait_log(r'session store "shared".*WRONGPASS')
            assert not redis.sessions()
            assert seconds(lambda: both[0].visit("unknown")) < 1
            password_file(tmp_path, "open-sesame")
            for machine in both:
                machine.change()
            machines.wait_ready()
            shares(machines, "after")
            for machine in both:
                assert "hunter2" not in machine.log() and "sesame" not in machine.log()


ACL = "user limpet on >open-sesame ~limpet:* &* -@all +@read +@write +@scripting +@connection"


def test_a_user_with_no_more_rights_than_needed(tmp_path):
    file = password_file(tmp_path, "open-sesame")
    with RedisServer(ACL) as redis:
        store = f"user limpet; password_file {file};"
        with (machines := Machines(redis, store=store)):
            redis("ACL", "LOG", "RESET")
            shares(machines, "s")
            assert redis("ACL", "LOG") == []
            assert any(b" user=limpet " in line for line in redis("CLIENT", "LIST").splitlines())


def test_a_user_that_may_not_write_harms_no_request(tmp_path):
    file = password_file(tmp_path, "open-sesame")
    with RedisServer(ACL.replace("limpet:*", "other:*")) as redis:
        with Machines(redis, store=f"user limpet; password_file {file};", ready=False) as (a, b):
            homes = {f"s{i}": a.login(f"s{i}") for i in range(40)}
            assert a.visit_all(homes) == homes
            assert all(b.visit(session) in "abc" for session in homes)
            a.wait_log("NOPERM")
            assert len(a.log_lines("NOPERM")) < 10, "not one line for each"


def test_a_machine_that_may_not_read_changes_says_that_it_is_alone(tmp_path):
    file = password_file(tmp_path, "open-sesame")
    with RedisServer(ACL + " -xread") as redis:
        with Machines(redis, count=1, store=f"user limpet; password_file {file};", ready=False) as (a,):
            a.wait_log("has refused a command.*NOPERM.*xread")
            wait_until(lambda: a.stored_zones()[0]["state"] == "lost", "the state")
            a.wait_log(r"\[error\].*is lost: what other machines change is not heard, NOPERM")
            a.change()  # other workers go on where these were
            a.wait_log("has refused a command.*NOPERM.*xread", 2)
            redis("ACL", "SETUSER", "limpet", "+xread")
            wait_until(lambda: a.stored_zones()[0]["state"] == "up", "the state again")
            a.wait_log(r"\[notice\].*is back after .*what other machines change is heard")
            assert len(a.log_lines("is lost")) == len(a.log_lines("is back")) == a.stored_zones()[0]["losses"] == 1


SECRET = "a-very-secret-word"


def test_no_secret_is_shown_anywhere(tmp_path):
    file = password_file(tmp_path, SECRET)
    with RedisServer(password=SECRET) as redis, \
            Machines(redis, store=f"password_file {file};", log_level="debug") as (a, b):
        key = open(a.values["keys"] + "/one.key", "rb").read()
        homes = {f"s{i}": a.login(f"s{i}") for i in range(10)}
        assert b.visit_all(homes) == homes
        said = [a.log(), a.run("-T").stdout, a.run("-t").stderr]
        said += [get(a.port, "/status/" + path).text for path in ("", "sessions", "upstreams", "alerts")]
        assert all(said)
        for text in said:
            assert SECRET not in text and key.hex() not in text and key.decode("latin-1") not in text
