"""By what a limpet finds its own zones among those of others."""
from sessions import SessionLimpet

IDS = [f"s{i}" for i in range(100)]


def check(limpet, sessions):
    assert limpet.zone()["active"] == len(sessions)
    assert limpet.visit(list(sessions)) == sessions


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
