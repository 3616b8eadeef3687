"""`GET …/explain`: which rule would choose which server and why; and that asking changes nothing."""
import json

import pytest

from client import get
from daemon import Limpet
from origin import Reply
from waiting import wait_until

SERVERS = "server 127.0.0.1:{a} route=one; server 127.0.0.1:{b} route=two; server 127.0.0.1:{c} route=three;"
CONFIG = """
worker_processes 2;
events { }
http {
    upstream app { zone app 256k; SERVERS
                   sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=clients:1m; }
    upstream cookie { zone cookie 256k; SERVERS sticky cookie srv; }
    upstream route { zone route 256k; SERVERS sticky route $arg_route $cookie_route; }
    upstream robin { zone robin 256k; SERVERS }
    upstream hash { zone hash 256k; SERVERS hash $arg_k consistent; }
    upstream address { zone address 256k; SERVERS ip_hash; }
    upstream both { zone both 256k; SERVERS ip_hash; sticky cookie srv; }
    upstream strict { zone strict 256k; SERVERS sticky cookie srv; sticky_strict on; }
    server {
        listen {port};
        location / { proxy_pass http://app; }
        location /robin/ { proxy_pass http://robin; }
        location /hash/ { proxy_pass http://hash; }
        location /address/ { proxy_pass http://address; }
        location /others/ { proxy_pass http://cookie; location /others/r/ { proxy_pass http://route; }
                            location /others/s/ { proxy_pass http://strict; }
                            location /others/b/ { proxy_pass http://both; } }
        location /status/ { api /status/ write=on; }
    }
}
""".replace("SERVERS", SERVERS)


@pytest.fixture
def limpet(origins):
    made = origins("a", "b", "c")
    for origin in made:
        origin.respond = lambda request, name=origin.name: Reply(
            name.encode(), headers=[("Set-Cookie", f"id={request.target[7:]}")]
            if request.target.startswith("/login?") else [])
    a, b, c = made
    with Limpet(CONFIG, a=a.port, b=b.port, c=c.port) as running:
        yield running


def explain(limpet, query, status=200):
    response = get(limpet.port, f"/status/explain?{query}")
    assert response.status == status, response.text
    return json.loads(response.text)


def patch(limpet, upstream, server, **change):
    response = get(limpet.port, f"/status/upstreams/{upstream}/peers/{server}", method="PATCH",
                   headers=[("Content-Type", "application/json")], body=json.dumps(change).encode())
    assert response.status == 200, response.text


def text_of(explanation):
    return " | ".join(f"{step['rule']}: {step['text']}" for step in explanation["steps"])


def name_of(limpet, explanation):
    return {str(limpet.values[n]): n for n in "abc"}[explanation["server"].rpartition(":")[2]]


def test_a_learned_session_leads_to_its_server(limpet):
    home = get(limpet.port, "/login?mine").text
    wait_until(lambda: explain(limpet, "upstream=app&cookie=mine")["sticky_status"] == "hit", "the session")
    said = explain(limpet, "upstream=app&cookie=mine")
    assert name_of(limpet, said) == home and said["decision"] == "server"
    assert 'the session "mine" is bound to' in text_of(said) and "own server is used" in text_of(said)
    said = explain(limpet, "upstream=app&cookie=other")
    assert said["sticky_status"] == "miss" and 'nobody knows the session "other"' in text_of(said)
    assert "brings no session" in text_of(explain(limpet, "upstream=app"))


def test_what_nothing_looks_at_is_told(limpet):
    assert 'nothing here looks at "session", "http_x"' in text_of(explain(limpet, "upstream=app&session=mine&http_x=1"))
    assert "looks at" not in text_of(explain(limpet, "upstream=app&cookie=mine"))


def test_a_session_whose_server_is_down_goes_elsewhere(limpet):
    home = get(limpet.port, "/login?mine").text
    wait_until(lambda: explain(limpet, "upstream=app&cookie=mine")["sticky_status"] == "hit", "the session")
    patch(limpet, "app", {"a": "one", "b": "two", "c": "three"}[home], down=True)
    said = explain(limpet, "upstream=app&cookie=mine")
    assert name_of(limpet, said) != home and "it is down" in text_of(said)
    assert "another server takes the session over" in text_of(said)
    down = [server for server in said["servers"] if server["state"] == "down"]
    assert len(down) == 1 and not down[0]["takes_new"] and not down[0]["takes_sessions"]


def test_cookies_and_routes_name_servers(limpet):
    assert name_of(limpet, explain(limpet, "upstream=cookie&cookie=two")) == "b"
    assert name_of(limpet, explain(limpet, "upstream=route&route=three")) == "c"
    assert name_of(limpet, explain(limpet, "upstream=route&arg_route=one&cookie_route=two")) == "a"
    assert "names no server" in text_of(explain(limpet, "upstream=route&route=nine"))


def test_a_draining_server_is_for_its_own_sessions(limpet):
    patch(limpet, "cookie", "two", drain=True)
    said = explain(limpet, "upstream=cookie&cookie=two")
    assert name_of(limpet, said) == "b"
    [draining] = [server for server in said["servers"] if server["id"] == "two"]
    assert draining["takes_sessions"] and not draining["takes_new"]


def test_a_strict_session_is_refused(limpet):
    patch(limpet, "strict", "two", down=True)
    said = explain(limpet, "upstream=strict&cookie=two")
    assert (said["decision"], said["code"], said["sticky_status"]) == ("refuse", 502, "strict")
    assert said["steps"][-1]["rule"] == "sticky_strict"


def test_no_server_is_left(limpet):
    for server in ("one", "two", "three"):
        patch(limpet, "robin", server, down=True)
    said = explain(limpet, "upstream=robin")
    assert (said["decision"], said["code"]) == ("refuse", 502) and "no server can take" in text_of(said)


def test_the_explanation_is_what_happens(limpet):
    """Also: however often it is asked, the next request goes where it said."""
    for _ in range(12):
        said = [explain(limpet, "upstream=robin") for _ in range(3)]
        assert len({s["server"] for s in said}) == 1
        assert get(limpet.port, "/robin/").text == name_of(limpet, said[0])
    for key in ("x", "y", "z", "long key", "ü"):
        quoted = "".join(f"%{byte:02X}" for byte in key.encode())
        said = explain(limpet, f"upstream=hash&key={quoted}")
        assert explain(limpet, f"upstream=hash&arg_k={quoted}")["server"] == said["server"]
    for key in ("x", "y", "z"):
        assert get(limpet.port, f"/hash/?k={key}").text == name_of(limpet, explain(limpet, f"upstream=hash&key={key}"))
    assert get(limpet.port, "/address/").text == name_of(limpet, explain(limpet, "upstream=address&client=127.0.0.1"))


def test_a_session_with_a_server_asks_nothing_of_the_method(limpet):
    assert name_of(limpet, explain(limpet, "upstream=both&cookie=two")) == "b"
    patch(limpet, "both", "two", down=True)
    assert '"client=" is missing' in explain(limpet, "upstream=both&cookie=two", 400)["error"]["text"]
    assert name_of(limpet, explain(limpet, "upstream=both&cookie=two&client=127.0.0.1")) in ("a", "c")
    explain(limpet, "upstream=both", 400)


def test_asking_changes_nothing(limpet):
    get(limpet.port, "/login?mine")
    wait_until(lambda: explain(limpet, "upstream=app&cookie=mine")["sticky_status"] == "hit", "the session")

    def state():
        zone = json.loads(get(limpet.port, "/status/sessions/clients").text)
        peers = json.loads(get(limpet.port, "/status/upstreams").text)
        return {k: v for k, v in zone.items() if k != "oldest_age_ms"}, peers

    before = state()
    for query in ("upstream=app&cookie=mine", "upstream=app&cookie=no", "upstream=app", "upstream=app&cookie=" + "x" * 300,
                  "upstream=robin", "upstream=cookie&cookie=two", "upstream=hash&key=k"):
        explain(limpet, query)
    assert state() == before


@pytest.mark.parametrize("query,status", [("", 400), ("upstream=nine", 404), ("upstream=hash", 400), ("upstream=address", 400),
                                          ("upstream=address&client=here", 400)])
def test_a_bad_question_is_refused(limpet, query, status):
    assert explain(limpet, query, status)["error"]["status"] == status
