"""docs/openapi.json is what a limpet answers: every path and method is called, every answer and error must have its form."""
import json
import os
import re

import jsonschema
import pytest

import pages
from certificates import TLS_SERVER, folder_with
from client import get
from daemon import Limpet
from ports import free_port
from waiting import wait_until

DOCUMENT = json.loads(pages.read("docs/openapi.json"))
SITE = """
worker_processes 1;
events { }
http {
    session_store shared { server 127.0.0.1:{closed}; key_file {dir}/key; }
    geoip2 {addresses} { $country country iso_code; }
    jwt_claim $user $http_authorization sub key_file={dir}/key;
    limit_req_zone $binary_remote_addr zone=requests:1m rate=1000r/s;
    limit_conn_zone $binary_remote_addr zone=connections:1m;
    resolver 127.0.0.1 status_zone=names;
    upstream app {
        zone app 256k;
        server 127.0.0.1:{port} route=a max_conns=100;
        server 127.0.0.1:{closed} route=b drain=1h;
        server 127.0.0.1:{closed} route=d down;
        least_sessions;
        queue 10 timeout=1s;
        sticky learn create=$arg_s lookup=$arg_s zone=sessions:1m store=shared;
    }
    upstream alone { server 127.0.0.1:{port}; sticky learn create=$arg_s lookup=$arg_s zone=whole:64k norefresh; }
    server {
        listen {port};
        status_zone main;
        location /app { proxy_pass http://app/; health_check interval=1s; }
        location /alone { proxy_pass http://alone/; }
        location / { status_zone root; return 200; }
        location /status/ { api /status/ write=on; }
        location /locked/ { api /locked/; }
    }
""" + TLS_SERVER + "}\n"
JSON = [("Content-Type", "application/json")]
called = set()  # path of the document, method, status


@pytest.fixture(scope="module")
def limpet(tmp_path_factory):
    certs = folder_with(tmp_path_factory, "on.test")
    addresses = os.path.join(pages.ROOT, "tests/fuzz/seeds/geo/v6_28.mmdb")
    with Limpet(SITE, closed=free_port(), tls=free_port(), certs=certs, addresses=addresses, start=False) as made:
        with open(made.path("key"), "w") as key:
            key.write("as good as any other, and long enough")
        os.chmod(made.path("key"), 0o600)
        made.start()
        wait_until(lambda: json.loads(get(made.port, "/status/alerts").text), "the store to be lost")
        yield made


def schema_of(path, method, status):
    found = DOCUMENT["paths"][path][method]["responses"][str(status)]["content"]["application/json"]["schema"]
    text = json.dumps({**found, "components": DOCUMENT["components"]})
    return json.loads(text)


def call(limpet, path, method="get", status=200, query="", body=None, prefix="/status", headers=None, **names):
    real = re.sub(r"\{(\w+)\}", lambda word: names[word[1]], path) if path != "/" else "/"
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    response = get(limpet.port, prefix + real + query, method=method.upper(), body=data,
                   headers=headers if headers is not None else JSON if data else [])
    assert response.status == status, response.text
    assert response.header("content-type") == "application/json"
    answer = json.loads(response.text)
    jsonschema.Draft7Validator(schema_of(path, method, status)).validate(answer)
    called.add((path, method, status))
    return answer


def learn(limpet, key, path="/app"):
    assert get(limpet.port, f"{path}?s={key}").status == 200


def test_what_get_answers(limpet):
    learn(limpet, "k")
    learn(limpet, "k", "/alone")
    assert call(limpet, "/")["write"] is True
    assert set(call(limpet, "/sessions")) == {"sessions", "whole"}
    assert "history" in call(limpet, "/sessions/{zone}", query="?history=1", zone="sessions")
    assert "idle_ms" in call(limpet, "/sessions/{zone}/{key}", zone="sessions", key="k")
    assert "age_ms" in call(limpet, "/sessions/{zone}/{key}", zone="whole", key="k")
    assert set(call(limpet, "/upstreams")) == {"app", "alone"}
    assert call(limpet, "/upstreams/{upstream}", upstream="app")["queue"]["limit"] == 10
    states = {call(limpet, "/upstreams/{upstream}/peers/{server}", upstream="app", server=server)["state"] for server in "abd"}
    assert "up" in states and "down" in states
    assert call(limpet, "/stores")["shared"]["zones"]["sessions"]["state"] == "lost"
    assert call(limpet, "/stores/{store}", store="shared")["state"] == "lost"
    assert call(limpet, "/alerts")[0]["text"]
    assert set(call(limpet, "/alerts", query="?problems=1")) == {"alerts", "problems"}
    assert {"store", "certificate"} <= {problem["kind"] for problem in call(limpet, "/problems")}
    assert [line["kind"] for line in call(limpet, "/zones")] == ["sessions", "sessions", "limit_req", "limit_conn"]
    assert call(limpet, "/certificates")[0]["server"] == "on.test"
    assert call(limpet, "/history")["every_ms"] == 20_000
    assert [database["state"] for database in call(limpet, "/geoip2").values()] == ["good"]
    assert call(limpet, "/jwt")["verified"] == 0
    said = call(limpet, "/explain", query="?upstream=app&cookie=k")
    assert said["sticky_status"] == "hit" and said["decision"] == "server"
    call(limpet, "/http/upstreams")
    assert call(limpet, "/angie")["address"] == "127.0.0.1"
    assert isinstance(call(limpet, "/angie", query="?date=epoch")["load_time"], int)
    assert call(limpet, "/connections")["active"] >= 1
    assert "ssl" not in call(limpet, "/http/server_zones")["main"]
    assert call(limpet, "/http/location_zones")["root"]["requests"]["discarded"] == 0
    assert call(limpet, "/http/limit_reqs")["requests"]["passed"] == 0
    assert call(limpet, "/http/limit_conns")["connections"]["passed"] == 0
    assert call(limpet, "/resolvers")["names"]["queries"]["name"] == 0


def test_what_changes_answer(limpet):
    peer = {"upstream": "app", "server": "a"}
    path = "/upstreams/{upstream}/peers/{server}"
    assert call(limpet, path, "patch", body={"drain": True, "deadline": "10m,keep"}, **peer)["drain_keeps"] is True
    assert "drain_left_ms" not in call(limpet, path, "patch", body={"drain": False}, **peer)
    assert call(limpet, path, "patch", body={"drain": True, "move": "20/s"}, **peer)["drain_move"] == 20
    assert "drain_move" not in call(limpet, path, "patch", body={"drain": False}, **peer)
    assert call(limpet, path, "patch", body={"down": True}, **peer)["state"] == "down"
    assert call(limpet, path, "patch", body={"down": False}, **peer)["state"] == "up"
    assert call(limpet, "/sessions/{zone}", "patch", body={"fill_limits": {"minor": "70%"}}, zone="sessions")["fill_limits"]["minor"] == 0.7
    rebalance = "/upstreams/{upstream}/rebalance"
    assert call(limpet, rebalance, "post", body={"dry_run": True, "idle": "5m"}, upstream="app")["moved"] == 0
    call(limpet, rebalance, "post", 409, upstream="app")  # its sessions are in a store
    learn(limpet, "one")
    moved = call(limpet, "/sessions/{zone}/{key}", "post", body={"move": {"to": "b"}}, zone="sessions", key="one")
    assert moved["id"] == "b"
    assert call(limpet, "/sessions/{zone}/{key}", "delete", zone="sessions", key="one") == {"forgotten": 1}
    learn(limpet, "two")
    assert call(limpet, "/sessions/{zone}", "post", body={"move": {"from": "a", "to": "b"}}, zone="sessions")["moved"] >= 1
    assert call(limpet, "/sessions/{zone}", "delete", query="?server=b", zone="sessions")["forgotten"] >= 1


def test_errors(limpet):
    stranger = [("Host", "rebound.example")]
    for path, operations in DOCUMENT["paths"].items():
        names = {"zone": "sessions", "key": "nobody", "upstream": "app", "server": "a", "store": "shared"}
        missing = {"zone": "none", "key": "nobody", "upstream": "none", "server": "none", "store": "none"}
        for method in set(operations) - {"parameters"}:
            known = {int(code) for code in operations[method]["responses"]}
            wrong = {"zone": "{}", "body": b"no json"}
            if 404 in known:
                query = "?upstream=none" if path == "/explain" else "?server=b" if method == "delete" else ""
                body = {"down": True} if method in ("patch", "post") else None
                call(limpet, path, method, 404, query, body, **missing)
            if 400 in known:
                body = wrong["body"] if method in ("patch", "post") else None
                call(limpet, path, method, 400, "", body, **names)
            if method == "get":
                real = re.sub(r"\{(\w+)\}", lambda word: names[word[1]], path)
                refused = get(limpet.port, "/status" + real, headers=[], host=stranger[0][1])
                assert refused.status == 403
                jsonschema.validate(json.loads(refused.text), schema_of(path, "get", 403))
                continue
            call(limpet, path, method, 403, prefix="/locked", **names)
            if 413 in known:
                call(limpet, path, method, 413, body=b" " * 17000, **names)
                call(limpet, path, method, 415, body=b"{}", headers=[("Content-Type", "text/plain")], **names)
                call(limpet, path, method, 411, headers=[*JSON, ("Transfer-Encoding", "chunked")], **names)
    call(limpet, "/upstreams/{upstream}/peers/{server}", "patch", 409, body={"down": True}, upstream="alone",
         server=f"127.0.0.1:{limpet.port}")
    learn(limpet, "here")
    limpet.reload(SITE.replace("server 127.0.0.1:{closed} route=d down;", ""))
    call(limpet, "/sessions/{zone}/{key}", "post", 409, body={"move": {"to": "d"}}, zone="sessions", key="here")
    call(limpet, "/sessions/{zone}", "post", 409, body={"move": {"from": "a", "to": "d"}}, zone="sessions")


def test_everything_that_is_described_was_called():
    """After the tests above."""
    described = {(path, method, int(status)) for path, operations in DOCUMENT["paths"].items() for method in operations
                 if method != "parameters" for status in operations[method]["responses"]}
    # 503: when 65,536 changes wait for the store.
    left = {entry for entry in described - called if entry[1:] != ("get", 403) and entry[2] != 503}
    assert left == set()


def test_a_form_is_strict():
    """A field that limpet does not send, or one that the description lacks, is a difference."""
    root = DOCUMENT["components"]["schemas"]["Root"]
    validator = jsonschema.Draft7Validator({**root, "components": DOCUMENT["components"]})
    assert any("required" in error.message for error in validator.iter_errors({"version": "1"}))
    assert any("Additional properties" in error.message for error in validator.iter_errors({"versions": "1"}))


def test_the_description_is_one():
    assert DOCUMENT["openapi"].startswith("3.")
    text = pages.read("docs/openapi.json")
    for name in re.findall(r'"#/components/schemas/(\w+)"', text):
        assert name in DOCUMENT["components"]["schemas"], name
    version = re.search(r"project\(limpet VERSION (\S+)", pages.read("CMakeLists.txt"))[1]
    assert DOCUMENT["info"]["version"] == version
    for path, operations in DOCUMENT["paths"].items():
        parameters = {p["name"] for p in operations.get("parameters", []) if p["in"] == "path"}
        assert parameters == set(re.findall(r"\{(\w+)\}", path)), path


def test_the_guide_names_every_path():
    guide = pages.read("docs/api.md")
    for path in DOCUMENT["paths"]:
        written = re.sub(r"\{(\w+)\}", lambda word: {"zone": "ZONE", "key": "KEY", "server": "SERVER"}.get(word[1], "NAME"), path)
        assert f"`{written}" in guide, written
