"""Others on the same machine: what they put where limpet writes or reads keeps it from nothing and gains them nothing."""
import glob
import os
import signal
import socket

import pytest

from client import get
from daemon import Limpet
from sessions import SessionLimpet
from waiting import wait_until

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
IDS = [f"s{i}" for i in range(100)]
NOBODY = 65534


def zone_of(limpet):
    return limpet.zone_path("clients")


def a_file(path):
    with open(path, "w") as out:
        out.write("theirs")
    os.chmod(path, 0o666)


def a_foreign_file(path):
    a_file(path)
    os.chown(path, NOBODY, NOBODY)


def a_link(path):
    os.symlink("/etc/passwd", path)


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)


SQUATS = [a_file, pytest.param(a_foreign_file, marks=root_only), a_link, os.mkfifo, os.mkdir, a_socket]


@pytest.fixture
def squatted():
    """Puts things into /dev/shm, and takes them away in the end."""
    made = []

    def squat(how, path):
        how(path)
        made.append(path)

    yield squat
    for path in made:
        os.rmdir(path) if os.path.isdir(path) else os.unlink(path) if os.path.lexists(path) else None


@pytest.mark.parametrize("how", SQUATS)
def test_shared_memory_that_somebody_else_has_made(squatted, how):
    with SessionLimpet(start=False) as limpet:
        squatted(how, zone_of(limpet))
        limpet.start()
        limpet.wait_log(r"\[warn\].*shared memory .* is not ours alone: .* is used instead")
        sessions = limpet.learn(IDS)
        limpet.change(more="timeout=30m")
        assert limpet.visit(IDS) == sessions
        limpet.change(size="256k")
        assert limpet.visit(IDS) == sessions
        limpet.kill_all()
        limpet.start()
        limpet.wait_log("found, checked and repaired: 100 sessions kept")
        assert limpet.visit(IDS) == sessions
        limpet.end()
        assert glob.glob(zone_of(limpet) + "*") == [zone_of(limpet)], "only theirs is left"


def test_a_zone_that_a_reload_adds(squatted):
    with Limpet("events { } http { }", workers=1) as limpet:
        squatted(os.mkfifo, zone_of(limpet))
        limpet.reload("""events { } http { upstream app { server 127.0.0.1:1;
            sticky learn create=$arg_a lookup=$arg_a zone=clients:32k; } server { listen {port}; } }""")
        limpet.wait_log("is not ours alone")
        assert not limpet.log_lines("emerg")


def kept(limpet):
    return limpet.path("state/clients.sessions")


@pytest.mark.parametrize("name", ["", ".new"])
def test_links_are_not_written_through(name):
    with SessionLimpet() as limpet:
        sessions = limpet.learn(IDS)
        os.makedirs(limpet.path("state"), exist_ok=True)
        a_file(limpet.path("victim"))
        os.symlink(limpet.path("victim"), kept(limpet) + name)
        limpet.end()
        with open(limpet.path("victim")) as text:
            assert text.read() == "theirs"
        assert not os.path.islink(kept(limpet))
        limpet.start()
        assert limpet.visit(IDS) == sessions


def to_link(path):
    os.rename(path, path + ".real")
    os.symlink(path + ".real", path)


def to_fifo(path):
    os.unlink(path)
    os.mkfifo(path)


@pytest.mark.parametrize("how", [to_link, to_fifo, lambda path: os.chmod(path, 0o666),
                                 pytest.param(lambda path: os.chown(path, NOBODY, NOBODY), marks=root_only)])
def test_sessions_of_somebody_else_are_not_believed(how):
    with SessionLimpet() as limpet:
        limpet.learn(IDS)
        limpet.end()
        how(kept(limpet))
        limpet.start()
        limpet.wait_log(r"\[warn\].*was set aside as")
        assert limpet.zone()["active"] == 0


LOGGING = """
{main}
events { }
http {
    client_body_temp_path {dir}/bodies;
    access_log {dir}/access.log;
    server { listen {port}; location / { return 200 ok; } }
}
"""


def test_logs_may_be_links_of_an_operator():
    with Limpet(LOGGING, workers=1, main="", start=False) as limpet:
        os.symlink("elsewhere.log", limpet.path("access.log"))
        limpet.start()
        assert get(limpet.port).status == 200
        wait_until(lambda: os.path.getsize(limpet.path("elsewhere.log")), "the line")


@root_only
@pytest.mark.parametrize("name", ["access.log", "error.log"])
def test_but_not_of_anybody_else(name):
    with Limpet(LOGGING, workers=1, main="", start=False) as limpet:
        a_file(limpet.path("victim"))
        os.symlink("victim", limpet.path(name))
        os.chown(limpet.path(name), NOBODY, NOBODY, follow_symlinks=False)
        done = limpet.run("-t")
        assert done.returncode == 1 and "it is a link of another user" in done.stderr
        with open(limpet.path("victim")) as text:
            assert text.read() == "theirs"


@root_only
def test_logs_are_given_away_as_they_were_opened():
    """The folder may be the workers': they put a link where the log was before it is given to them again."""
    with Limpet(LOGGING, workers=1, main="user nobody nogroup;") as limpet:
        a_file(limpet.path("victim"))
        os.unlink(limpet.path("access.log"))
        os.link(limpet.path("victim"), limpet.path("access.log"))
        limpet.kill(signal.SIGUSR1)
        limpet.wait_log("reopening logs")
        assert limpet.end() == 0
        assert os.stat(limpet.path("victim")).st_uid == 0


@root_only
def test_folders_for_bodies_are_not_given_away_through_links():
    with Limpet(LOGGING, workers=1, main="user nobody nogroup;", start=False) as limpet:
        os.mkdir(limpet.path("victim"))
        os.symlink("victim", limpet.path("bodies"))
        os.chown(limpet.path("bodies"), NOBODY, NOBODY, follow_symlinks=False)
        done = limpet.run()
        assert done.returncode == 1 and "it is a link of another user" in done.stderr
        assert os.stat(limpet.path("victim")).st_uid == 0


def test_a_pid_file_that_is_none():
    with Limpet(LOGGING, workers=1, main="", start=False) as limpet:
        os.mkfifo(limpet.path("limpet.pid"))
        done = limpet.run("-s", "stop")
        assert done.returncode == 1 and "is no regular file" in done.stderr
        limpet.start()
        assert limpet.end() == 0
