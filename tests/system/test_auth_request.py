"""auth_request: another location decides, and tells who it was."""
import base64
import re

import pytest

from client import Connection, get
from daemon import Limpet
from origin import Origin, Reply
from waiting import wait_until

CONFIG = """
events { }
http {
    server {
        listen {port};
        auth_basic_user_file {dir}/users;
        auth_request_set $who $upstream_http_x_user;
        auth_request_set $said $upstream_status;
        add_header X-Said $said always;
        location / { auth_request /auth; proxy_pass http://127.0.0.1:{origin}; proxy_set_header X-User $who; }
        location = /auth {
            internal;
            proxy_pass http://127.0.0.1:{origin}/verdict;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header X-Original-URI $request_uri;
        }
        location /off { auth_request off; proxy_pass http://127.0.0.1:{origin}; }
        location /local { auth_request /yes; return 404; error_page 404 = @fine; }
        location = /yes { return 204; }
        location @fine { return 200 fine; }
        location /judged { auth_request /file; try_files /nowhere =418; }
        location = /file { internal; root {dir}; add_header Set-Cookie $arg_a; }
        location = /nowhere { return 404; }
        location /missing { auth_request /nowhere; proxy_pass http://127.0.0.1:{origin}; }
        location /any { satisfy any; deny all; auth_basic realm; auth_request /auth; proxy_pass http://127.0.0.1:{origin}; }
        location /all { satisfy all; deny all; auth_request /auth; proxy_pass http://127.0.0.1:{origin}; }
    }
}
"""
USER = ("Authorization", "Basic " + base64.b64encode(b"user:secret").decode())


@pytest.fixture(scope="module")
def limpet():
    with Origin() as origin:
        running = Limpet(CONFIG, workers=1, start=False, origin=origin.port)
        with open(running.path("users"), "w") as out:
            out.write("user:{PLAIN}secret\n")
        with open(running.path("file"), "w") as out:
            out.write("yes")
        with running:
            running.origin = origin
            running.start()
            yield running


@pytest.fixture
def verdict(limpet):
    """Sets what the authenticator says; returns what it has been asked."""
    asked = []

    def say(status, *headers):
        asked.clear()

        def respond(request):
            if not request.target.startswith("/verdict"):
                return Reply(request.header("x-user", "-").encode() + b" " + request.body)
            asked.append(request)
            return Reply(b"because", status=status, headers=[("X-User", "alice"), *headers])
        limpet.origin.respond = respond
        return asked
    return say


@pytest.mark.parametrize("said, status", [("200 OK", 200), ("204 No Content", 200), ("401 Unauthorized", 401),
                                          ("403 Forbidden", 403), ("404 Not Found", 500), ("302 Found", 500),
                                          ("500 Oops", 500)])
def test_verdicts(limpet, verdict, said, status):
    if said.startswith("204"):
        limpet.origin.respond = lambda request: Reply(raw=b"HTTP/1.1 204 No Content\r\nX-User: alice\r\n\r\n") \
            if request.target == "/verdict" else Reply(b"alice ")
    else:
        verdict(said)
    response = get(limpet.port, "/page")
    assert response.status == status
    assert response.header("x-said") == said[:3]
    if status == 200:
        assert response.text == "alice "


def test_what_is_asked(limpet, verdict):
    asked = verdict("200 OK")
    with Connection(limpet.port) as connection:
        assert connection.request("/page?a=b", "POST", [("Cookie", "c=d")], b"text").text == "alice text"
        assert connection.request("/again").text == "alice "
    question = asked[0]
    assert (question.method, question.target, question.body) == ("GET", "/verdict", b"")
    assert question.header("x-original-uri") == "/page?a=b" and question.header("cookie") == "c=d"
    assert question.header("content-length") is None and question.header("transfer-encoding") is None


def test_the_challenge_is_passed_on(limpet, verdict):
    verdict("401 Unauthorized", ("WWW-Authenticate", 'Bearer realm="x"'))
    assert get(limpet.port).all("www-authenticate") == ['Bearer realm="x"']


def test_places_without_an_upstream(limpet, verdict):
    verdict("403 Forbidden")
    assert get(limpet.port, "/off").text == "- "
    assert get(limpet.port, "/local").text == "fine"
    assert get(limpet.port, "/missing").status == 500
    limpet.wait_log("auth request unexpected status: 404")


@pytest.mark.parametrize("field", [("If-Match", '"x"'), ("If-None-Match", "*"), ("Range", "bytes=9-"),
                                   ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")])
def test_conditions_are_the_clients_not_the_questions(limpet, field):
    assert get(limpet.port, "/judged", [field]).status == 418


def test_satisfy(limpet, verdict):
    verdict("200 OK")
    response = get(limpet.port, "/any")
    assert response.status == 200 and response.header("www-authenticate") is None
    assert get(limpet.port, "/all").status == 403
    verdict("403 Forbidden")
    assert get(limpet.port, "/any").status == 401  # a password would help
    asked = verdict("403 Forbidden")
    assert get(limpet.port, "/any", [USER]).status == 200
    assert not asked  # that was enough


def test_a_client_that_leaves_while_it_is_asked(limpet):
    limpet.origin.respond = lambda request: Reply(b"late", delay=0.2)
    for _ in range(5):
        with Connection(limpet.port) as connection:
            connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    limpet.wait_log("client prematurely closed connection", 5)
    assert get(limpet.port, "/local").text == "fine"


ONE_ID = """
events { }
http {
    server {
        listen {port};
        proxy_set_header X-Id $request_id;
        add_header X-Id $request_id;
        location / { auth_request /auth; mirror /copy; proxy_pass http://127.0.0.1:{origin}; }
        location = /auth { proxy_pass http://127.0.0.1:{origin}/auth; }
        location = /copy { proxy_pass http://127.0.0.1:{origin}/copy; }
    }
}
"""


def test_a_request_and_what_we_ask_for_it_have_one_id(origins):
    (origin,) = origins("origin")
    with Limpet(ONE_ID, workers=1, origin=origin.port) as limpet, Connection(limpet.port) as connection:
        ids = [connection.request().header("X-Id") for _ in range(2)]
        assert ids[0] != ids[1] and all(re.fullmatch("[0-9a-f]{32}", of_one) for of_one in ids)
        wait_until(lambda: origin.hits == 6, "the copies")
        asked = {(request.target, request.header("X-Id")) for request in origin.requests}
        assert asked == {(target, of_one) for target in ("/", "/auth", "/copy") for of_one in ids}


SHARED = """
events { }
http {
    server {
        listen {port};
        access_log off;
        set $tier none;
        set $place server;
        location / {
            set $place location;
            set $own mine;
            auth_request /check;
            auth_request_set $seen $tier;
            add_header X-Said "$tier $seen $place $own $args" always;
            try_files /none =204;
        }
        location = /check {
            internal;
            set $tier "of_$own$cookie_tier";
            set $args other;
            if ($cookie_tier = "") { return 403; }
            return 204;
        }
    }
}
"""


def test_what_is_asked_and_who_asks_share_what_set_says():
    with Limpet(SHARED, workers=1) as limpet:
        for cookies, status, tier in ({"tier": "gold"}, 204, "of_minegold"), ({}, 403, "of_mine"):
            answer = get(limpet.port, "/?a=b", cookies=cookies)
            assert (answer.status, answer.header("X-Said")) == (status, f"{tier} {tier} server mine a=b")
