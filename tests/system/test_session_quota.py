"""quota= and new_rate= of sticky learn: what a client may have and begin, whatever happens to the processes."""
import json
import os
import re
import signal

import pytest

from binaries import Binaries
from client import get
from daemon import Limpet
from machines import Machines
from origin import Reply
from waiting import wait_until

CONFIG = """
events { }
http {
    log_format told "$sticky_status $arg_who";
    access_log {dir}/told.log told;
    upstream app {
        zone app 64k;
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=sessions:256k timeout=1h {bounds};
    }
    server {
        listen {port};
        location / { proxy_pass http://app; }
        location /status/ { access_log off; api /status/ write=on; }
        location = /metrics { access_log off; prometheus; }
    }
}
"""
FIVE = "quota=$arg_who:5"


def answer(request):
    """`/login?who=WHO&id=ID` begins session ID."""
    path, _, session = request.target.partition("&id=")
    return Reply(b"ok", headers=[("Set-Cookie", f"id={session}")] if session else [])


class Bounded(Limpet):
    ids = 0

    def begin(self, who, count):
        """The ids of those that were learned; all are served."""
        made = []
        for _ in range(count):
            self.ids += 1
            made.append(f"{who}-{self.ids}")
            assert get(self.port, f"/login?who={who}&id={made[-1]}").status == 200
        return [session for session in made if self.knows(session)]

    def knows(self, session):
        return get(self.port, f"/status/sessions/sessions/{session}").status == 200

    def zone(self):
        return json.loads(get(self.port, "/status/sessions/sessions").text)

    def told(self, wanted, count):
        """So many lines of the access log."""
        def lines():
            with open(self.path("told.log")) as text:
                return text.read().splitlines().count(wanted) == count
        wait_until(lines, f"{count} lines of {wanted!r}")


@pytest.fixture
def bounded(origins):
    servers = dict(zip("ab", (origin.port for origin in origins("a", "b", respond=answer))))
    made = []

    def make(bounds, **values):
        made.append(Bounded(CONFIG, workers=2, bounds=bounds, **servers, **values))
        return made[-1]

    yield make
    for limpet in made:
        limpet.__exit__(None)


def test_each_client_has_so_many_and_no_more(bounded):
    limpet = bounded(FIVE)
    mine = limpet.begin("a", 8)
    assert len(mine) == 5
    assert len(limpet.begin("b", 5)) == 5
    limpet.told("quota a", 3)
    limpet.told("new a", 5)
    assert limpet.zone()["over_quota"] == 3 and limpet.zone()["over_rate"] == 0
    assert 'limpet_sessions_over_quota_total{zone="sessions"} 3' in get(limpet.port, "/metrics").text
    limpet.wait_log(r'\[warn\].*session zone "sessions": \d new sessions were not learned', 1)
    said = get(limpet.port, "/status/explain?upstream=app&arg_who=a").text
    assert "the client has 5 sessions of 5 that it may have: until one ends, a new one is served" in said, said
    assert "nothing bounds" in get(limpet.port, "/status/explain?upstream=app").text
    # Those it has go on, and one that has ended makes room.
    assert get(limpet.port, "/?who=a", cookies={"id": mine[0]}).status == 200
    limpet.told("hit a", 1)
    assert get(limpet.port, f"/status/sessions/sessions/{mine[1]}", method="DELETE").status == 200
    assert len(limpet.begin("a", 3)) == 1
    # One alert a minute.
    assert len(limpet.log_lines("new sessions were not learned")) == 1


def test_an_empty_key_is_not_bounded(bounded):
    assert len(bounded(FIVE).begin("", 8)) == 8


def test_a_rate_with_a_burst(bounded):
    limpet = bounded("quota=$arg_who:100 new_rate=1r/m:2")
    assert len(limpet.begin("a", 6)) == 3
    assert len(limpet.begin("b", 1)) == 1
    assert (limpet.zone()["over_quota"], limpet.zone()["over_rate"]) == (0, 3)
    limpet.told("quota a", 3)


def test_a_rate_of_all_clients(bounded):
    limpet = bounded("new_rate=1r/m:2")
    assert len(limpet.begin("a", 2)) + len(limpet.begin("b", 4)) == 3


def test_counts_survive_reload_and_killed_workers(bounded):
    limpet = bounded(FIVE)
    assert len(limpet.begin("a", 5)) == 5
    limpet.reload()
    assert limpet.begin("a", 2) == []
    for worker in limpet.workers():
        os.kill(worker, signal.SIGKILL)
    limpet.wait_log("exited on signal 9", 2)
    wait_until(lambda: len(limpet.workers()) == 2, "new workers")
    assert limpet.begin("a", 2) == []
    limpet.values["bounds"] = "quota=$arg_who:7"
    limpet.reload(CONFIG)
    assert len(limpet.begin("a", 4)) == 2
    limpet.values["bounds"] = "quota=$remote_addr:7"  # whose key is another: all begin at none
    limpet.reload(CONFIG)
    assert len(limpet.begin("a", 4) + limpet.begin("b", 4)) == 7
    limpet.values["bounds"] = ""
    limpet.reload(CONFIG)
    assert len(limpet.begin("a", 9)) == 9


def test_both_binaries_count_the_same(bounded):
    limpet = bounded(FIVE)
    both = Binaries(limpet, workers=2)
    assert len(limpet.begin("a", 3)) == 3
    both.upgrade()
    assert len(limpet.begin("a", 6)) == 2
    both.end_old()
    assert limpet.begin("a", 4) == []
    both.end(both.new)


def test_after_a_restart_sessions_are_there_and_counts_begin_anew(bounded):
    limpet = bounded(FIVE)
    mine = limpet.begin("a", 6)
    limpet.end()
    limpet.start()
    assert all(limpet.knows(session) for session in mine)
    assert len(limpet.begin("a", 7)) == 5


def test_what_another_machine_has_begun_is_not_counted_here(redis):
    def begin(machine, names):
        for name in names:
            assert get(machine.port, f"/login?{name}", headers=[("X-Who", "a")]).status == 200

    with Machines(redis, sticky="store=shared quota=$http_x_who:5") as (first, second):
        mine = [f"a{i}" for i in range(7)]
        begin(first, mine)
        learned = [session for session in mine if first.server_of(session)]
        assert len(learned) == 5
        for session in learned:
            wait_until(lambda: second.server_of(session), "the session at the other machine")
        begin(second, [f"b{i}" for i in range(7)])
        assert len([i for i in range(7) if second.server_of(f"b{i}")]) == 5
        assert second.call("GET", "sessions/sessions")["over_quota"] == 2


@pytest.mark.parametrize("bounds, complaint", [
    ("quota=5", 'invalid quota "5": it is KEY:N'),
    ("quota=$arg_who", 'invalid quota "\\$arg_who": it is KEY:N'),
    ("quota=who:5", 'invalid quota "who:5"'),
    ("quota=$arg_who:0", "N from 1 to"),
    ("quota=$arg_who:5 quota=$arg_who:6", "duplicate quota"),
    ("new_rate=0r/s", 'invalid new_rate "0r/s": it is RATE\\[:BURST\\]'),
    ("new_rate=10r/h", 'invalid new_rate "10r/h"'),
    ("new_rate=10r/s:many", 'invalid new_rate "10r/s:many"'),
])
def test_bad_bounds(bounds, complaint):
    limpet = Limpet(CONFIG, start=False, bounds=bounds, a=1, b=2)
    done = limpet.run("-t")
    assert done.returncode == 1
    assert re.search(complaint, done.stderr) and "limpet.conf:" in done.stderr and "sticky" in done.stderr, done.stderr
    limpet.__exit__(None)
