"""Others on the same machine while limpet runs: what they put in its way before a reload, a change of the binary or the end."""
import glob
import os
import signal

import pytest

from binaries import Binaries, children
from sessions import SessionLimpet
from test_squatters import IDS, NOBODY, SQUATS, a_file, a_foreign_file, root_only, squatted, zone_of  # noqa: F401
from waiting import wait_until


class AsNobody(SessionLimpet):
    """Runs as another user than those who squat."""

    def command(self, *more):
        for path in (self.dir, self.path("sanitizer"), self.path("limpet.conf")):
            os.chown(path, NOBODY, NOBODY)
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *super().command(*more)]


@pytest.mark.parametrize("how", SQUATS)
@pytest.mark.parametrize("stays", [True, False], ids=["stays", "goes"])
def test_a_new_binary_finds_the_zone_that_had_to_take_another_name(squatted, how, stays):  # noqa: F811
    with SessionLimpet(start=False) as limpet:
        squatted(how, zone_of(limpet))
        limpet.start()
        sessions = limpet.learn(IDS)
        if not stays:
            os.rmdir(zone_of(limpet)) if os.path.isdir(zone_of(limpet)) else os.unlink(zone_of(limpet))
        both = Binaries(limpet, workers=2)
        both.upgrade()
        both.rest()
        assert limpet.visit(IDS) == sessions
        both.end_old()
        assert limpet.visit(IDS) == sessions
        both.end(both.new)
        assert glob.glob(zone_of(limpet) + "*") == ([zone_of(limpet)] if stays else []), "only theirs is left"


@root_only
@pytest.mark.parametrize("how", SQUATS)
def test_of_a_user_who_can_take_nothing_away(squatted, how):  # noqa: F811
    """What root has put there stays; every name that can be guessed is taken."""
    with AsNobody(start=False) as limpet:
        for end in ("", ".new", ".bad", "~0000000000000000"):
            squatted(how, zone_of(limpet) + end)
        limpet.start()
        limpet.wait_log(r"\[warn\].*shared memory .* is not ours alone: .* is used instead")
        sessions = limpet.learn(IDS)
        limpet.change(size="256k")
        assert limpet.visit(IDS) == sessions
        both = Binaries(limpet, workers=2)
        both.upgrade()
        both.rest()
        assert limpet.visit(IDS) == sessions
        both.end_old()
        limpet.write(limpet._config(limpet.values).replace("clients:256k", "clients:1m"))
        before = set(children(both.new))
        os.kill(both.new, signal.SIGHUP)
        limpet.wait_log("has another size: 100 of 100 sessions moved", 2)
        wait_until(lambda: not before & set(children(both.new)), "the workers of the smaller zone to end")
        assert limpet.visit(IDS) == sessions
        both.end(both.new)
        left = {zone_of(limpet) + end for end in ("", ".new", ".bad", "~0000000000000000")}
        assert set(glob.glob(zone_of(limpet) + "*")) == left, "only theirs is left"


@root_only
def test_many_who_squat(squatted):  # noqa: F811
    with SessionLimpet(start=False) as limpet:
        for i in range(500):
            squatted(a_foreign_file, f"{zone_of(limpet)}~{i:016x}")
        squatted(a_foreign_file, zone_of(limpet))
        limpet.start()
        sessions = limpet.learn(IDS)
        limpet.kill_all()
        limpet.start()
        assert limpet.visit(IDS) == sessions


def put_fifo(path, _):
    os.mkfifo(path)


def put_folder(path, _):
    os.mkdir(path)


def put_link(path, limpet):
    os.symlink(limpet.path("victim"), path)


def put_foreign(path, _):
    a_foreign_file(path)


@pytest.mark.parametrize("put", [put_fifo, put_folder, put_link, pytest.param(put_foreign, marks=root_only)])
@pytest.mark.parametrize("name", ["clients.sessions", "servers", "clients.sessions.new", "servers.new"])
def test_state_that_is_swapped_while_it_runs(put, name):
    with SessionLimpet() as limpet:
        sessions = limpet.learn(IDS)
        limpet.end()
        a_file(limpet.path("victim"))
        limpet.start()
        path = limpet.path("state/" + name)
        if os.path.lexists(path):
            os.unlink(path)
        put(path, limpet)
        limpet.change(more="timeout=30m")
        assert limpet.visit(IDS) == sessions
        both = Binaries(limpet, workers=2)
        both.upgrade()
        both.end_old()
        assert limpet.visit(IDS) == sessions
        both.end(both.new)
        with open(limpet.path("victim")) as text:
            assert text.read() == "theirs"
        assert os.stat(limpet.path("victim")).st_mode & 0o777 == 0o666
        if not (put is put_folder and name == "clients.sessions"):
            limpet.start()
            assert limpet.visit(IDS) == sessions


@root_only
@pytest.mark.parametrize("put", [put_fifo, put_folder, put_link, put_foreign])
def test_a_reload_adds_a_zone_whose_sessions_are_no_file_of_ours(put):
    with SessionLimpet() as limpet:
        os.makedirs(limpet.path("state"), exist_ok=True)
        a_file(limpet.path("victim"))
        put(limpet.path("state/more.sessions"), limpet)
        limpet.change(http="upstream more { server 127.0.0.1:1; sticky learn create=$arg_a lookup=$arg_b zone=more:64k; }")
        limpet.wait_log(r"\[warn\].*session snapshot .*more.sessions\" was set aside")
        assert limpet.zone("more")["active"] == 0
        with open(limpet.path("victim")) as text:
            assert text.read() == "theirs"


@root_only
@pytest.mark.parametrize("when", ["start", "end"])
def test_a_folder_that_is_a_link_of_somebody_else(when):
    """Whoever owns the folder above, as the workers' user may, must not send root's files elsewhere."""
    with SessionLimpet() as limpet:
        limpet.learn(IDS)
        state, elsewhere = limpet.path("state"), limpet.path("elsewhere")
        if when == "start":
            limpet.end()
        os.mkdir(elsewhere)
        os.makedirs(state, exist_ok=True)
        os.rename(state, state + ".old")
        os.symlink(elsewhere, state)
        os.chown(state, NOBODY, NOBODY, follow_symlinks=False)
        if when == "start":
            limpet.start()
        limpet.end()
        assert os.listdir(elsewhere) == []
        limpet.wait_log(r"\[warn\].*it is a link of another user")


def test_a_folder_that_is_a_link_of_ours():
    with SessionLimpet(start=False) as limpet:
        os.mkdir(limpet.path("elsewhere"))
        os.symlink("elsewhere", limpet.path("state"))
        limpet.start()
        sessions = limpet.learn(IDS)
        limpet.end()
        assert sorted(os.listdir(limpet.path("elsewhere"))) == ["clients.sessions", "limpet.lock"]
        limpet.start()
        assert limpet.visit(IDS) == sessions
