"""Two limpets of one machine that were given the same place by mistake."""
import contextlib
import fcntl
import os

from daemon import hash_of
from sessions import SessionLimpet
from waiting import wait_until

IDS = [f"s{i}" for i in range(100)]


def check(limpet, sessions):
    assert limpet.zone()["active"] == len(sessions)
    assert limpet.visit(list(sessions)) == sessions


@contextlib.contextmanager
def held(path):
    """As another process has it."""
    with open(path, "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            os.unlink(path)


def test_one_state_path_is_one_limpets_at_a_time(tmp_path):
    """What the other has is said, stays in memory, and is written once the first has ended."""
    os.chmod(tmp_path, 0o755)
    main = f"state_path {tmp_path}/state;"
    with SessionLimpet(main=main) as first, SessionLimpet(main=main) as second:
        second.wait_log(rf'\[error\].*snapshot "{tmp_path}/state/clients.sessions" is that of another limpet '
                        rf"\(process {first.pid}\).*give each a state_path of its own")
        sessions = {limpet: limpet.learn(IDS) for limpet in (first, second)}
        second.end()
        first.end()
        first.start()
        check(first, sessions[first])
        second.start()
        check(second, sessions[second])
        first.end()
        second.end()
        second.remove_zones()
        second.start()
        second.wait_log("100 of 100 sessions loaded")
        check(second, sessions[second])
        assert not first.log_lines("another limpet")


def test_servers_that_another_has_drained_stay_so(tmp_path):
    os.chmod(tmp_path, 0o755)
    main = f"state_path {tmp_path}/state;"
    with SessionLimpet(main=main, servers="ab", more="; zone backend 64k") as first:
        server = f"127.0.0.1:{first.values['a']}"
        assert first.run("drain", "backend", server).returncode == 0
        kept = tmp_path / "state/servers"
        wait_until(kept.exists, "the file")
        with SessionLimpet(main=main) as second:
            second.end()
        assert kept.exists()
        first.end()
        first.start()
        assert server in kept.read_text()


def test_zones_of_a_container_with_the_same_pid_path_are_left_alone():
    """Both see one /dev/shm. The other is between two starts of its workers, or is just beginning."""
    with SessionLimpet() as limpet:
        sessions = limpet.learn(IDS)
        limpet.kill_all()
        theirs = limpet.zone_path("theirs")
        with open(limpet.zone_path("clients"), "rb") as memory, \
                open(os.open(theirs, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as copy:
            copy.write(memory.read())
        with held(f"/dev/shm/limpet-{hash_of(limpet.path('limpet.pid'))}.lock"):
            limpet.start()
            limpet.wait_log(r"\[error\].*both have the same session zones; give each a pid file of another name")
            check(limpet, sessions)
            limpet.end()
            assert os.path.exists(theirs)


def test_a_pid_path_may_be_written_in_another_way():
    with SessionLimpet() as limpet:
        sessions = limpet.learn(IDS)
        limpet.kill_all()
        plain = limpet.command
        limpet.command = lambda *more: [word.replace("/limpet.pid", "/.//limpet.pid") for word in plain(*more)]
        limpet.start()
        check(limpet, sessions)
        limpet.kill_all()
        limpet.command = plain
        limpet.start()
        check(limpet, sessions)
