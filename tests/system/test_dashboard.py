"""`dashboard`: the built-in page, in headless Chromium. Skipped only where Chromium is missing."""
import json
import os
import re
import signal

import pytest

import browser
from client import get
from daemon import Limpet
from origin import Origin, Reply

pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason="Chromium is missing")

CONFIG = """
worker_processes 2;
events { }
http {
    upstream app {
        zone app 512k;
        {servers}
        sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=clients:64k
               fill_limit_minor_log=1% fill_limit_major_log=50% fill_limit_crit_log=95%;
    }
    upstream files { server 127.0.0.1:{origin}; }
    server {
        listen {port};
        location / { proxy_pass http://app; }
        location /files/ { proxy_pass http://files; }
        location /status/ { api /status/{write}; }
        location /dashboard/ { dashboard /status/; }
    }
}
"""


@pytest.fixture(scope="module", autouse=True)
def installed():
    browser.install()


def start(origin, peers=3, write=" write=on"):
    def teacher(request):
        learned = request.target.startswith("/login?")
        return Reply(b"hello", headers=[("Set-Cookie", f"id={request.target[7:]}")] if learned else [])

    origin.respond = teacher
    servers = "\n".join(f"server 127.0.{i // 250 + 1}.{i % 250 + 1}:{origin.port};" for i in range(peers))
    return Limpet(CONFIG, origin=origin.port, servers=servers, write=write)


@pytest.fixture
def origin():
    with Origin(address="0.0.0.0") as made:
        yield made


@pytest.fixture
def limpet(origin):
    with start(origin) as running:
        yield running


def url(limpet):
    return f"http://127.0.0.1:{limpet.port}/dashboard/"


def login(limpet, *sessions):
    for session in sessions:
        assert get(limpet.port, f"/login?{session}").status == 200


def fill_to_warning(limpet):
    capacity = json.loads(get(limpet.port, "/status/sessions/clients").text)["capacity"]
    login(limpet, *(f"session-{i}" for i in range(capacity // 100 + 2)))
    limpet.wait_log(r"\[warn\].*session zone \"clients\" reached 1%")


def test_it_shows_what_the_api_says(limpet):
    fill_to_warning(limpet)
    shown, facts = browser.drive(url(limpet), """
        await refreshed(2);
        return { zones: await texts('.zone h3'), fill: await texts('.zone .fill'), counts: await texts('.zone .head .muted:not(.serves)'), serves: await texts('.zone .serves'),
                 limits: await texts('.course span'), upstreams: await texts('#upstreams h3'), states: await texts('td.state'),
                 servers: await texts('td.server'), workers: await texts('#workers td:first-child'), alerts: await texts('#alerts li'),
                 about: await page.innerText('#about'), live: await page.innerText('#live'),
                 notes: await texts('.peers summary .muted:not(.times)'), curve: await page.getAttribute('.course .line', 'd') };
    """)
    zone = json.loads(get(limpet.port, "/status/sessions/clients").text)
    assert shown["zones"] == ["clients"] and shown["limits"] == ["1%", "50%", "95%"]
    assert shown["counts"] == [f"{zone['active']:,} of {zone['capacity']:,} sessions"]
    assert shown["serves"] == ["for app"]
    assert shown["fill"][0].endswith("%") and shown["curve"].startswith("M")
    assert shown["upstreams"] == ["app", "files"] and set(shown["states"]) == {"up"}
    assert [server.split()[0] for server in shown["servers"]][:3] == [
        f"127.0.1.{i}:{limpet.values['origin']}" for i in (1, 2, 3)]
    assert sorted(map(int, shown["workers"])) == sorted(limpet.workers())
    assert "warn" in shown["alerts"][0] and 'session zone "clients" reached 1%' in shown["alerts"][0]
    assert "generation 1" in shown["about"] and shown["live"] == "live"
    assert "no zone" in shown["notes"][1]
    for rule in ("default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "script-src 'nonce-"):
        assert rule in facts["policy"]
    assert "unsafe" not in facts["policy"]


def test_it_refreshes_by_itself_and_rests_while_nobody_looks(limpet):
    login(limpet, "one")
    shown, facts = browser.drive(url(limpet), """
        await page.selectOption('#every', '1000');
        const before = await page.innerText('.zone .head .muted:not(.serves)');
        await page.evaluate(async () => { await fetch('/login?two', { headers: { Connection: 'close' } }); });
        await page.waitForFunction(() => document.querySelector('.zone .head .muted:not(.serves)').innerText.startsWith('2 of'));
        const hide = hidden => page.evaluate(h => { Object.defineProperty(document, 'hidden', { get: () => h, configurable: true });
                                                    document.dispatchEvent(new Event('visibilitychange')); }, hidden);
        await hide(true);
        const atRest = await count();
        await page.waitForTimeout(2500);
        const rested = await count() - atRest;
        await hide(false);
        await refreshed(1);
        await page.keyboard.press('p');
        const paused = await page.innerText('#live'), pressed = await page.getAttribute('#pause', 'aria-pressed');
        await page.keyboard.press('p');
        await refreshed(2);
        return { before, rested, paused, pressed, live: await page.innerText('#live') };
    """)
    assert shown["before"].startswith("1 of")
    assert shown["rested"] <= 1  # one may have been under way
    assert (shown["paused"], shown["pressed"], shown["live"]) == ("paused", "true", "live")


def test_everything_can_be_done_with_the_keyboard(limpet):
    second = f"127.0.1.2:{limpet.values['origin']}"
    shown, _ = browser.drive(url(limpet), """
        await refreshed(1);
        await page.keyboard.press('/');
        await page.keyboard.type('1.2:');
        const filtered = await texts('td.server');
        await page.keyboard.press('Escape');
        const all = await texts('td.server');
        await page.keyboard.press('j'); await page.keyboard.press('j');
        const focused = await page.evaluate(() => document.activeElement.querySelector('td.server').innerText);
        await page.keyboard.press('d');
        const question = await page.innerText('#ask-title');
        await page.keyboard.press('Escape');
        const open = await page.$$eval('dialog[open]', nodes => nodes.length);
        await page.keyboard.press('d');
        await page.focus('#deadline');
        await page.keyboard.type('10m');
        await page.keyboard.press('Enter');
        await page.waitForFunction(() => [...document.querySelectorAll('td.state')].some(n => /drain/.test(n.innerText)));
        await page.keyboard.press('?');
        const help = await page.isVisible('#keys');
        await page.keyboard.press('Escape');
        await page.keyboard.press('t');
        return { filtered, all: all.length, focused, question, open, help, states: await texts('td.state'),
                 theme: await page.evaluate(() => document.documentElement.dataset.theme),
                 buttons: await texts('td.act button') };
    """)
    assert [name.split()[0] for name in shown["filtered"]] == [second]
    assert shown["all"] == 4 and second in shown["focused"]
    assert shown["question"] == f"Drain {second}?" and shown["open"] == 0
    assert shown["help"] is True and shown["theme"] == "light"
    assert "drain" in shown["states"][1] and shown["buttons"][:3] == ["Drain", "Restore", "Drain"]
    peer = json.loads(get(limpet.port, "/status/upstreams/app").text)["peers"][1]
    assert peer["state"] in ("draining", "drained") and 0 < peer["drain_left_ms"] <= 600_000


def test_without_write_there_is_nothing_to_press(origin):
    with start(origin, write="") as limpet:
        shown, _ = browser.drive(url(limpet), "await refreshed(1); return await texts('td.act button');")
        assert shown == []


def test_a_limpet_that_is_gone_is_said_to_be(limpet):

    script = """
        await refreshed(1);
        await page.route('**/status/**', route => route.abort());
        await page.waitForFunction(() => document.getElementById('live').innerText === 'no answer');
        await page.unroute('**/status/**');
        await page.waitForFunction(() => document.getElementById('live').innerText === 'live');
        return true;
    """
    assert browser.drive(url(limpet), script, complaints=["Failed to load resource"])[0] is True


def test_a_hundred_peers_are_updated_in_place(origin):
    """A refresh makes and removes no element: it only changes texts. So it costs less than the first drawing."""
    with start(origin, peers=100) as limpet:
        login(limpet, *(f"s{i}" for i in range(100)))
        shown, _ = browser.drive(url(limpet), """
            await page.selectOption('#every', '1000');
            await page.evaluate(() => {
                window.made = 0;
                new MutationObserver(list => { for (const m of list) window.made += [...m.addedNodes, ...m.removedNodes].filter(n => n.nodeType === 1).length; })
                    .observe(document.getElementById('upstreams'), { childList: true, subtree: true });
            });
            const sessions = await texts('td.sessions');
            await page.evaluate(async () => { for (let i = 0; i < 300; ++i) await fetch('/login?more' + i); });
            await refreshed(5);
            const times = await page.evaluate(() => performance.getEntriesByName('draw', 'measure').map(e => e.duration));
            return { times, made: await page.evaluate(() => window.made), rows: (await texts('.peers tbody tr')).length,
                     sessions, later: await texts('td.sessions') };
        """)
        assert shown["rows"] == 101 and shown["made"] == 0
        assert shown["sessions"] != shown["later"]
        first, *later = shown["times"]
        middle = sorted(later)[len(later) // 2]
        print(f"first drawing {first:.1f} ms, then {middle:.1f} ms")
        assert middle < first


def change(limpet, path, method, body=b""):
    done = get(limpet.port, "/status/" + path, method=method, body=body, headers=[("Content-Type", "application/json")])
    assert done.status == 200, done.text


def test_what_is_wrong_stands_above_everything(limpet, origin):
    """In the title and in the icon, too; the worst first, and the servers that are broken."""
    good = browser.drive(url(limpet), """
        await refreshed(1);
        return { title: await page.title(), shown: await page.isVisible('#wrong'), icon: await page.getAttribute('link[rel=icon]', 'href') };
    """)[0]
    assert good["title"].startswith("limpet · ") and not good["shown"]
    origin.respond = lambda _: Reply(b"", status="200 OK")
    last = f"127.0.1.3:{limpet.values['origin']}"
    change(limpet, f"upstreams/app/peers/{last}", "PATCH", b'{"down": true}')
    limpet.write(open(limpet.path("limpet.conf")).read().replace("events", "evens"))
    limpet.kill(signal.SIGHUP)
    limpet.wait_log("the new configuration was refused")
    for i in (1, 2):
        change(limpet, f"upstreams/app/peers/127.0.1.{i}:{limpet.values['origin']}", "PATCH", b'{"down": true}')
    bad = browser.drive(url(limpet), """
        await refreshed(1);
        const first = await page.$eval('main', main => [...main.children].find(n => n.checkVisibility()).id);
        return { title: await page.title(), first, problems: await texts('#problems li'), icon: await page.getAttribute('link[rel=icon]', 'href'),
                 live: await page.getAttribute('#problems', 'aria-live'), servers: await texts('td.server') };
    """)[0]
    assert bad["first"] == "wrong" and bad["live"] == "polite"
    assert [line.split()[0] for line in bad["problems"]] == ["crit", "error"]
    assert "upstream app has no server" in bad["problems"][0] and "was refused" in bad["problems"][1]
    assert bad["title"].startswith("2 problems · limpet") and bad["icon"] != good["icon"]
    assert "for " in bad["servers"][0], "since when"
    limpet.forgive()


def test_broken_servers_come_first_with_since_when_and_why(origin):
    config = CONFIG.replace("location / {", "location @check { proxy_pass http://app; health_check interval=200ms uri=/health; }\n        location / {")
    origin.respond = lambda _: Reply(b"")
    servers = "\n".join(f"server 127.0.1.{i + 1}:{origin.port};" for i in range(2)) + "\nserver 127.0.0.9:1;"
    with Limpet(config, origin=origin.port, servers=servers, write="") as limpet:
        limpet.wait_log("peer is unhealthy while connecting")
        shown, _ = browser.drive(url(limpet), """
            await page.waitForFunction(() => /check failed while/.test(document.querySelector('td.server').innerText));
            return { servers: await texts('td.server'), states: await texts('td.state') };
        """)
        assert shown["servers"][0].startswith("127.0.0.9:1") and shown["states"][0] == "unhealthy"
        assert "connecting" in shown["servers"][0] and "checked" in shown["servers"][0] and "for " in shown["servers"][0]


def test_ages_do_not_go_by_the_clock_of_the_browser(limpet):
    """Which is two hours ahead."""
    change(limpet, f"upstreams/app/peers/127.0.1.1:{limpet.values['origin']}", "PATCH", b'{"down": true}')
    servers, _ = browser.drive(url(limpet), """
        await page.addInitScript(() => {
            const ahead = performance.timeOrigin + 7200e3;
            Object.defineProperty(performance, 'timeOrigin', { get: () => ahead });
        });
        await page.reload();
        await page.waitForFunction(() => Number(document.documentElement.dataset.refreshes || 0) >= 1);
        return await texts('td.server');
    """)
    assert re.search(r"for \d+s", servers[0]), servers[0]


def test_one_session_is_looked_up_moved_and_forgotten(limpet):
    login(limpet, "me")
    shown, _ = browser.drive(url(limpet), """
        await page.fill('#session-key', 'nobody'); await page.click('#session-form button');
        await page.waitForFunction(() => document.getElementById('session-said').innerText);
        const unknown = await page.innerText('#session-said');
        await page.fill('#session-key', 'me'); await page.press('#session-key', 'Enter');
        await page.waitForSelector('#session-facts dd');
        const facts = await texts('#session-facts dd'), labels = await texts('#session-facts dt'), steps = await texts('#session-steps li');
        const to = (await texts('#session-to option')).length, wanted = await page.$eval('#session-to option', o => o.value);
        await page.click('#session-move button');
        await page.waitForFunction(() => /moved/.test(document.getElementById('session-said').innerText));
        const moved = await texts('#session-facts dd');
        await page.click('#session-forget');
        await page.waitForFunction(() => /forgotten/.test(document.getElementById('session-said').innerText));
        return { unknown, facts, labels, steps, wanted, moved, gone: await texts('#session-facts dd') };
    """, complaints=["404"])
    assert shown["unknown"] == "no such session"
    assert shown["labels"] == ["Server", "Id", "Idle", "Over in"]
    assert shown["steps"][0].startswith(f"app: the next request goes to {shown['facts'][0]} (hit)")
    assert any("is bound to" in step for step in shown["steps"])
    assert shown["moved"][0] == shown["wanted"] != shown["facts"][0] and shown["gone"] == []


def test_a_filter_that_finds_nothing_says_so(limpet):
    shown, _ = browser.drive(url(limpet), """
        await refreshed(1);
        await page.fill('#filter', 'xyz');
        const said = await page.innerText('#no-match');
        await page.fill('#filter', '127');
        return { said, later: await page.isVisible('#no-match') };
    """)
    assert shown["said"].startswith("No server matches “xyz”") and not shown["later"]


def test_single_letters_can_be_switched_off(limpet):
    shown, _ = browser.drive(url(limpet), """
        await refreshed(1);
        await page.click('#help'); await page.uncheck('#letters'); await page.click('#keys-close');
        await page.keyboard.press('p');
        const off = await page.innerText('#live');
        await page.click('#help'); await page.check('#letters'); await page.click('#keys-close');
        await page.evaluate(() => document.activeElement.blur());
        await page.keyboard.press('p');
        return { off, on: await page.innerText('#live') };
    """)
    assert shown == {"off": "live", "on": "paused"}


def test_a_screen_reader_finds_names_for_everything(limpet):
    shown, _ = browser.drive(url(limpet), """
        await refreshed(1);
        return await page.evaluate(() => ({
            tables: [...document.querySelectorAll('table')].filter(t => !t.caption?.innerText).length,
            heads: [...document.querySelectorAll('th')].filter(t => t.scope !== 'col').length,
            rows: [...document.querySelectorAll('td.server')].filter(t => t.getAttribute('role') !== 'rowheader').length,
            nameless: [...document.querySelectorAll('button, input, select')].filter(n => !n.innerText && !n.getAttribute('aria-label') && !n.labels?.length)
                .map(n => n.outerHTML) }));
    """)
    assert shown == {"tables": 0, "heads": 0, "rows": 0, "nameless": []}


def test_a_card_on_a_phone_is_not_taller_than_80_pixels(limpet):
    shown, _ = browser.drive(url(limpet), """
        await refreshed(2);
        return await page.$$eval('.peers tbody tr', rows => rows.map(row => row.getBoundingClientRect().height));
    """, **SIZES["narrow"])
    assert shown and max(shown) <= 80


def test_the_button_is_in_view_however_wide_the_table(limpet):
    shown, _ = browser.drive(url(limpet), """
        await refreshed(2);
        const hidden = await page.$$eval('.peers tbody button', buttons => buttons.filter(button =>
            button.getBoundingClientRect().right > button.closest('.scroll').getBoundingClientRect().right + 1).length);
        return { hidden, wider: await page.$$eval('.peers .scroll', all => all.some(box => box.scrollWidth > box.clientWidth)) };
    """, viewport={"width": 800, "height": 900})
    assert shown == {"hidden": 0, "wider": True}


def test_a_thousand_servers_do_not_stutter(origin):
    with start(origin, peers=1000) as limpet:
        login(limpet, *(f"s{i}" for i in range(50)))
        shown, _ = browser.drive(url(limpet), """
            await page.selectOption('#every', '1000');
            await refreshed(4);
            const times = await page.evaluate(() => performance.getEntriesByName('draw', 'measure').map(e => e.duration));
            await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight / 2));
            await refreshed(1);
            const row = await page.evaluate(() => { const at = document.elementFromPoint(300, 400).closest('tr'); return at?.querySelector('td.server').innerText; });
            return { times, rows: (await page.$$('.peers tbody tr')).length, row };
        """)
        assert shown["rows"] == 1001
        assert shown["row"].startswith("127.0.")
        first, *later = shown["times"]
        middle = sorted(later)[len(later) // 2]
        print(f"1000 servers: first drawing {first:.0f} ms, then {middle:.1f} ms")
        assert middle < first / 3


SIZES = {
    "light": {"colorScheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark": {"colorScheme": "dark", "viewport": {"width": 1280, "height": 900}},
    "narrow": {"colorScheme": "light", "viewport": {"width": 390, "height": 844}, "deviceScaleFactor": 2},
}


@pytest.mark.parametrize("name", SIZES)
def test_it_fits(limpet, name):
    """Leaves a picture in the build folder."""
    fill_to_warning(limpet)
    folder = os.path.join(browser.BUILD, "dashboard")
    os.makedirs(folder, exist_ok=True)
    shown, _ = browser.drive(url(limpet), f"""
        await refreshed(3);
        await page.screenshot({{ path: {json.dumps(os.path.join(folder, name + '.png'))}, fullPage: true }});
        return await page.evaluate(() => ({{ wide: document.documentElement.scrollWidth, window: innerWidth,
                                            background: getComputedStyle(document.body).backgroundColor }}));
    """, **SIZES[name])
    assert shown["wide"] <= shown["window"]
    dark = sum(int(part) for part in shown["background"][4:-1].split(",")) < 200
    assert dark == (name == "dark")


@pytest.mark.parametrize("method,path,status", [("POST", "/dashboard/", 405), ("GET", "/dashboard/other", 404),
                                                ("HEAD", "/dashboard/", 200)])
def test_it_is_one_page(limpet, method, path, status):
    assert get(limpet.port, path, method=method).status == status
