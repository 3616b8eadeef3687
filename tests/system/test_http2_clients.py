"""Every kind of stickiness over HTTP/2 with clients that people have: curl, h2load and Chromium, many requests at once."""
import json
import shutil
import subprocess
import threading

import pytest

import browser
from certificates import Authority
from daemon import Limpet
from origin import Reply
from ports import free_port
from waiting import PATIENCE

MANY = 20  # requests at once
CONFIG = """
worker_processes 2;
events { worker_connections 512; }
http {
    upstream learn {
        zone learn 256k;
        {servers}
        sticky learn create=$upstream_cookie_sid lookup=$cookie_sid zone=sessions:1m header;
        {first}
    }
    upstream cookie {
        zone cookie 256k;
        {servers}
        sticky cookie srv path=/;
        {first}
    }
    upstream route {
        zone route 256k;
        {routes}
        sticky route $cookie_route;
    }
    upstream hash { {servers} hash $cookie_id consistent; }
    upstream address { {servers} ip_hash; }
    server {
        listen {port} ssl;
        http2 on;
        ssl_certificate {dir}/localhost.crt;
        ssl_certificate_key {dir}/localhost.key;
        location = /page {
            default_type text/html;
            return 200 "<link rel=icon href=data:,><script>document.documentElement.dataset.refreshes = 1</script>";
        }
        location /learn { proxy_pass http://learn; }
        location /cookie { proxy_pass http://cookie; }
        location /route { proxy_pass http://route; }
        location /hash { proxy_pass http://hash; }
        location /address { proxy_pass http://address; }
    }
}
"""
KINDS = ["learn", "cookie", "route", "hash", "address"]
OWN = {"route": "route=b", "hash": "id=somebody"}  # cookies that a site sets itself


class Servers:
    """Three; /learn logs in whoever has no session. Targets are `/KIND?TAG`, and `seen` says who had which.

    While `together` is set none of the requests without a session is answered before all have come.
    """

    def __init__(self, origins):
        self.seen, self.lock, self.together = [], threading.Lock(), None
        self.made = origins("a", "b", "c")
        for origin in self.made:
            origin.respond = lambda request, name=origin.name: self.respond(request, name)

    def respond(self, request, name):
        with self.lock:
            self.seen.append((request.target, name))
            number = len(self.seen)
        known = any(word in request.header("cookie", "") for word in ("sid=", "srv="))
        if self.together and not known:
            self.together.wait(PATIENCE)
        fields = [("Set-Cookie", f"sid={name}{number}; Path=/")] if request.target.startswith("/learn") and not known else []
        return Reply(f"{name}\n".encode(), headers=fields)

    def of(self, target):
        return [name for what, name in self.seen if what == target]


@pytest.fixture
def servers(origins):
    return Servers(origins)


def start(servers, first=""):
    lines = [f"server 127.0.0.1:{origin.port}" for origin in servers.made]
    limpet = Limpet(CONFIG, start=False, port=free_port(), first=first, servers="; ".join(lines) + ";",
                    routes=" ".join(f"{line} route={origin.name};" for line, origin in zip(lines, servers.made)))
    Authority(limpet.dir).issue("localhost")
    limpet.start()
    return limpet


@pytest.fixture
def limpet(servers):
    with start(servers) as limpet:
        yield limpet


def url(limpet, target=""):
    return f"https://127.0.0.1:{limpet.port}{target}"


def curl(limpet, *targets, cookie=None):
    """One after the other, or all at once; a client's cookies are in a jar of the limpet's directory."""
    jar = limpet.path("jar")
    command = ["curl", "-sk", "--http2", "-Z", "--parallel-immediate", "-b", cookie or jar, "-c", jar, "-w", "%{http_version}\n",
               *(url(limpet, target) for target in targets)]
    words = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, check=True).stdout.split()
    assert words.count("2") == len(targets), words
    return [word for word in words if word != "2"]


def cookies(limpet):
    """Those in curl's jar, as a field's value."""
    with open(limpet.path("jar")) as jar:
        lines = [line.split("\t") for line in jar.read().splitlines() if "\t" in line]
    return "; ".join(f"{fields[5]}={fields[6]}" for fields in lines)


def home(limpet, kind):
    """Where a first request is, and the cookies of whoever sent it."""
    (name,) = curl(limpet, f"/{kind}?first", cookie=OWN.get(kind))
    return name, OWN.get(kind) or cookies(limpet)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
def test_curl(limpet, kind):
    name, _ = home(limpet, kind)
    assert set(curl(limpet, *[f"/{kind}?many"] * MANY, cookie=OWN.get(kind))) == {name}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.skipif(not shutil.which("h2load"), reason="no h2load here")
def test_h2load(limpet, servers, kind):
    name, cookie = home(limpet, kind)
    requests = 10 * MANY
    said = subprocess.run(["h2load", "-n", str(requests), "-c", "4", "-m", str(MANY), "-H", f"cookie: {cookie or 'x=y'}",
                           url(limpet, f"/{kind}?many")], capture_output=True, text=True, timeout=3 * PATIENCE).stdout
    assert f"{requests} succeeded" in said and f"{requests} 2xx" in said and "protocol: h2" in said, said
    assert servers.of(f"/{kind}?many") == [name] * requests


# Asks so often at once; the names of the servers, and the protocol that was spoken.
ASK = """
const ask = (target, many) => page.evaluate(async ([target, many]) => {
  const answers = Array.from({ length: many }, async () => (await (await fetch(target, { cache: 'no-store' })).text()).trim());
  const names = await Promise.all(answers);
  const spoken = performance.getEntriesByType('resource').filter(entry => entry.name.includes(target));
  return { names, protocols: [...new Set(spoken.map(entry => entry.nextHopProtocol))] };
}, [target, many]);
"""


def chromium(limpet, script):
    browser.install()
    answer, _ = browser.drive(url(limpet, "/page"), ASK + script, ignoreHTTPSErrors=True)
    return answer


def names(answer):
    assert answer["protocols"] == ["h2"], answer
    return answer["names"]


with_chromium = pytest.mark.skipif(browser.CHROMIUM is None, reason="Chromium is missing")


@with_chromium
def test_chromium(limpet):
    answers = chromium(limpet, f"""
const answers = {{}};
for (const kind of {json.dumps(KINDS)}) {{
  const own = {json.dumps(OWN)}[kind];
  if (own) await page.evaluate(own => {{ document.cookie = own + '; path=/'; }}, own);
  answers[kind] = {{ first: await ask(`/${{kind}}?first`, 1), many: await ask(`/${{kind}}?many`, {MANY}) }};
}}
return answers;
""")
    for kind in KINDS:
        (name,) = names(answers[kind]["first"])
        assert names(answers[kind]["many"]) == [name] * MANY, kind
    assert names(answers["route"]["many"])[0] == "b"
    for kind in ("hash", "address"):
        assert names(answers[kind]["many"])[0] == home(limpet, kind)[0]


def first_page(servers, kind, first):
    """All requests of a page before any answer; then as many once the browser has its cookies."""
    servers.together = threading.Barrier(MANY)
    with start(servers, first) as limpet:
        both = chromium(limpet, f"return [await ask('/{kind}?first', {MANY}), await ask('/{kind}?then', {MANY})];")
    return map(names, both)


@with_chromium
@pytest.mark.parametrize("kind", ["learn", "cookie"])
def test_the_first_requests_of_a_page_share_a_server_where_sticky_first_says_so(servers, kind):
    first, then = first_page(servers, kind, "sticky_first wait=20s;")
    assert len(first) == len(then) == MANY
    assert len(set(first) | set(then)) == 1, (first, then)


@with_chromium
@pytest.mark.parametrize("kind", ["learn", "cookie"])
def test_the_first_requests_of_a_page_go_to_several_servers_otherwise(servers, kind):
    first, then = first_page(servers, kind, "")
    assert set(first) == {"a", "b", "c"} and len(set(then)) == 1, (first, then)
