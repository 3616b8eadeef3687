"""What limpet says about session stores: API, metrics, `limpet stores`, explain, alerts, the page."""
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

import browser
from client import get
from machines import Machines
from redis_server import RedisServer
from waiting import wait_until


@pytest.fixture
def pair(redis):
    with Machines(redis) as both:
        yield both


def facts(machine):
    return machine.call("GET", "stores/shared")["zones"]["sessions"]


def state(machine):
    return facts(machine)["state"]


def until_state(machine, wanted):
    return wait_until(lambda: (found := facts(machine))["state"] == wanted and found, wanted)


def metrics(machine):
    page = get(machine.port, "/metrics").text
    samples = [line.rsplit(" ", 1) for line in page.splitlines() if line.startswith("limpet_store_")]
    assert len(dict(samples)) == len(samples), "a sample is there twice"
    return {name: float(value) for name, value in samples}


def metric(machine, name, result=None):
    more = f',result="{result}"' if result else ""
    return metrics(machine)[f'limpet_store_{name}{{store="shared",zone="sessions"{more}}}']


def table(machine, *words):
    done = machine.run(*words)
    assert done.returncode == 0, done.stderr
    head, *lines = [line.split() for line in done.stdout.splitlines()]
    return [dict(zip(head, line)) for line in lines]


def explain(machine, query):
    said = machine.call("GET", f"explain?upstream=app&{query}")
    return said, [step["text"] for step in said["steps"] if step["rule"] == "session_store shared"]


def counts_alike(machine):
    """API, table and metrics say the same: once nothing is on its way any more, offers of a machine that has begun included."""
    said, rows = facts(machine), table(machine, "stores")
    return (rows == table(machine, "stores", "shared")
            and int(rows[0]["ASKED"]) == said["asked"] == metric(machine, "asked_total")
            and int(rows[0]["UNKNOWN"]) == said["unknown"] == metric(machine, "questions_total", "unknown")
            and int(rows[0]["APPLIED"]) == said["applied"] == metric(machine, "applied_total")
            and int(rows[0]["WRITTEN"]) == said["written"] == metric(machine, "changes_total", "written")
            and int(rows[0]["WAITING"]) == said["waiting"] == metric(machine, "waiting") == 0)


def test_what_it_has_counted_is_the_same_everywhere(pair, redis):
    a, b = pair
    before = facts(a), facts(b)
    for i in range(5):
        a.login(f"mine-{i}")
    wait_until(lambda: facts(a)["written"] >= before[0]["written"] + 5, "five changes to be written")
    wait_until(lambda: facts(b)["applied"] >= before[1]["applied"] + 5, "five changes to be applied")
    b.visit("nobody")
    wait_until(lambda: facts(b)["unknown"] == before[1]["unknown"] + 1, "the answer")
    store = b.call("GET", "stores")["shared"]
    assert store["servers"] == [f"127.0.0.1:{redis.port}"] and (store["state"], store["wait_ms"]) == ("up", 2000)
    assert b.call("GET", "")["stores"] == {"shared": "up"}
    (row,) = table(b, "stores")
    assert (row["STORE"], row["ZONE"], row["STATE"], row["LOST_S"]) == ("shared", "sessions", "up", "-")
    assert metric(b, "up") == 1
    for machine in pair:
        wait_until(lambda machine=machine: counts_alike(machine), "the same figures everywhere")
    assert 0 <= metric(b, "lag_seconds") < 60
    refused = b.run("stores", "nobody")
    assert refused.returncode == 1 and "no such session store" in refused.stderr


def test_what_was_there_before_a_machine_began_is_no_lag(pair):
    a, b = pair
    a.login("early")
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() > begun + 2, "a quiet moment")
    b.begin_anew()
    wait_until(lambda: b.server_of("early"), "what was there")
    assert metric(b, "lag_seconds") < 1
    a.login("late")
    wait_until(lambda: b.server_of("late"), "what comes later")


def test_a_store_that_is_lost_and_back_is_said_to_be(pair, redis):
    a, _ = pair
    home = a.login("early")
    redis.kill()
    lost = until_state(a, "lost")
    assert lost["lost_since"].startswith("20") and lost["lost_ms"] >= 0 and lost["losses"] >= 1
    assert a.call("GET", "")["stores"] == {"shared": "lost"} and metric(a, "up") == 0
    for i in range(8):
        a.login(f"late-{i}")
    assert a.visit("early") == home
    wait_until(lambda: facts(a)["waiting"] >= 1, "changes that wait")
    a.visit("nobody")
    wait_until(lambda: facts(a)["skipped"] >= 1, "a question that nobody asked")
    (row,) = table(a, "stores")
    assert row["STATE"] == "lost" and int(row["LOST_S"]) >= 0 and int(row["WAITING"]) >= 1
    redis.start()
    until_state(a, "up")
    wait_until(lambda: facts(a)["waiting"] == 0, "what waited")
    texts = [alert["text"] for alert in a.call("GET", "alerts")]
    assert any('session store "shared"' in text and "is lost" in text for text in texts)
    assert any('session store "shared"' in text and "is back" in text for text in texts)


def listeners(client):
    """The connections that wait for changes."""
    rows = (dict(word.partition("=")[::2] for word in line.split()) for line in client("CLIENT", "LIST").decode().splitlines())
    return [row["id"] for row in rows if row["cmd"] == "xread"]


def test_a_machine_that_does_not_hear_of_changes_says_so(pair, redis):
    """Its workers ask, and nobody listens: Redis has no room for that connection. What ends elsewhere goes on there."""
    a, b = pair
    home = a.login("mine")
    assert b.visit("mine") == b.visit("mine") == home
    with redis.client() as client:
        most = client("CONFIG", "GET", "maxclients")[1]
        wait_until(lambda: len(listeners(client)) == 2, "both to listen")
        client("CONFIG", "SET", "maxclients", "5")  # four workers, and this one
        for number in listeners(client):
            client("CLIENT", "KILL", "ID", number)
        for machine in pair:
            until_state(machine, "lost")
            assert metric(machine, "up") == 0 and facts(machine)["asking_workers"] == 2
            texts = [problem["text"] for problem in machine.call("GET", "problems")]
            assert texts == ["session store shared is not listened to, zone sessions goes on alone"]
            machine.wait_log(r"\[error\].*is lost: what other machines change is not heard, .*goes on alone")
        a.forget("mine")
        assert b.visit("mine") == home, "it could not know"
        client("CONFIG", "SET", "maxclients", most)
    for machine in pair:
        until_state(machine, "up")
        machine.wait_log(r"\[notice\].*is back after \d+ s .*what other machines change is heard")
    wait_until(lambda: b.server_of("mine") is None, "its end")


def test_what_waits_in_a_worker_that_dies_is_counted_as_lost(pair, redis):
    a, _ = pair
    redis.kill()
    until_state(a, "lost")
    for i in range(8):
        a.login(f"late-{i}")
    before = facts(a)
    assert before["waiting"] >= 8
    workers = a.workers()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(a.workers()) == 2 and not set(a.workers()) & set(workers), "other workers")
    after = wait_until(lambda: (now := facts(a))["waiting"] == 0 and now, "nothing to wait")
    assert after["dropped"] == before["dropped"] + before["waiting"]


def test_it_has_no_secrets(tmp_path):
    password = tmp_path / "password"
    password.write_text("tell-nobody\n")
    password.chmod(0o600)
    with RedisServer(password="tell-nobody") as redis, \
            Machines(redis, count=1, store=f"password_file {password};") as (machine,):
        with open(os.path.join(machine.values["keys"], "one.key"), "rb") as file:
            key = file.read()
        shown = [machine.run("stores", "--json").stdout, machine.run("stores").stdout, get(machine.port, "/metrics").text]
        shown += [get(machine.port, "/status/" + path).text for path in ("", "stores", "stores/shared", "alerts")]
        assert '"up"' in shown[0]
        for text in shown:
            assert "tell-nobody" not in text and str(password) not in text and key.hex() not in text


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing")
def test_promtool_finds_nothing_to_complain_of(pair):
    page = get(pair[0].port, "/metrics").body
    assert b"limpet_store_up" in page
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, timeout=20)
    assert (checked.returncode, checked.stderr, checked.stdout) == (0, b"", b"")


def test_explain_says_that_the_store_would_be_asked_and_does_not_ask(pair, redis):
    a, _ = pair
    a.login("mine")
    asked = facts(a)["asked"]
    said, steps = explain(a, "cookie=nobody")
    assert said["sticky_status"] == "miss" and said["decision"] == "server"
    assert len(steps) == 1 and "it is there" in steps[0] and "2000 ms" in steps[0]
    assert explain(a, "cookie=mine")[1] == [] and explain(a, "")[1] == []
    assert facts(a)["asked"] == asked
    redis.kill()
    until_state(a, "lost")
    (step,) = explain(a, "cookie=nobody")[1]
    assert "lost" in step and "no request asks it" in step


# The page

@pytest.fixture(scope="module")
def chromium():
    if browser.CHROMIUM is None:
        pytest.skip("Chromium is missing")
    browser.install()


SHOWN = "{ cells: await texts('#stores td'), title: await texts('#stores-title'), pill: await page.getAttribute('#stores .pill', 'class') }"


def picture(name):
    folder = os.path.join(browser.BUILD, "dashboard")
    os.makedirs(folder, exist_ok=True)
    path = json.dumps(os.path.join(folder, f"stores-{name}.png"))
    return f"await page.screenshot({{ path: {path}, fullPage: true }});"


@pytest.mark.parametrize("name", ["wide", "narrow"])
def test_the_page_has_a_line_for_each_store(pair, redis, chromium, name):
    a, b = pair
    a.login("mine")
    wait_until(lambda: facts(b)["applied"] >= 1, "the change")
    size = {"wide": {"width": 1280, "height": 900}, "narrow": {"width": 390, "height": 844}}[name]
    url = f"http://127.0.0.1:{b.port}/dashboard/"
    shown, _ = browser.drive(url, f"await refreshed(2); {picture(name + '-up')} return {SHOWN};", viewport=size)
    assert shown["title"] == ["Session stores"]
    where = f" 127.0.0.1:{redis.port}" if name == "wide" else ""  # there is no room for it on a narrow one
    assert shown["cells"][:3] == ["shared" + where, "sessions", "up"]
    redis.kill()
    until_state(b, "lost")
    b.login("late")
    wait_until(lambda: facts(b)["waiting"] >= 1, "a change that waits")
    shown, _ = browser.drive(url, f"await refreshed(2); {picture(name + '-lost')} "
                                  f"return {{ wide: await page.evaluate(() => document.documentElement.scrollWidth), ...{SHOWN} }};",
                             viewport=size)
    assert shown["cells"][2].startswith("lost ") and shown["pill"] == "pill lost"
    assert int(shown["cells"][4]) >= 1 and shown["wide"] <= size["width"]


def test_the_page_says_nothing_of_stores_where_there_are_none(chromium):
    with Machines(count=1, stores="", sticky="", ready=False) as (machine,):
        shown, seen = browser.drive(f"http://127.0.0.1:{machine.port}/dashboard/",
                                    "await refreshed(3); return { panels: await texts('#stores-panel, #stores-title'), zones: await texts('.zone h3') };")
        assert shown == {"panels": [], "zones": ["sessions"]}
        assert len([request for request in seen["requests"] if request.endswith("/stores")]) == 1  # the first
