"""mirror: other locations get a copy of the request, and the client hears nothing of them."""
import threading

from client import Connection, get
from daemon import Limpet
from origin import Reply
from waiting import wait_until

CONFIG = """
events { }
http {
    client_body_buffer_size 1k;
    mirror /copy;
    server {
        listen {port};
        location / { proxy_pass http://127.0.0.1:{main}; }
        location /local { return 200 local; }
        location /off/ { mirror off; proxy_pass http://127.0.0.1:{main}; }
        location /headless/ { mirror_request_body off; proxy_pass http://127.0.0.1:{main}; }
        location /two/ { mirror /copy; mirror /other; proxy_pass http://127.0.0.1:{main}; }
        location /copy { internal; proxy_pass http://127.0.0.1:{copy}$request_uri; }
        location /other { internal; proxy_pass http://127.0.0.1:{copy}/other; }
    }
}
"""


def run(origins, main=None, copy=None):
    servers = origins("main", respond=main) + origins("copy", respond=copy)
    return servers, Limpet(CONFIG, workers=1, main=servers[0].port, copy=servers[1].port)


def asked(origin, count):
    return [(r.method, r.target, r.body) for r in wait_until(
        lambda: len(origin.requests) >= count and origin.requests, f"{count} requests at {origin.name}")]


def test_copies(origins):
    (main, copy), limpet = run(origins, copy=lambda request: Reply(b"unheard", status="500 Bad"))
    with limpet:
        assert get(limpet.port, "/a?b=c").text == "main"
        assert asked(copy, 1) == [("GET", "/a?b=c", b"")]
        for body in (b"small", b"large" * 1000):  # in memory, and in a file
            assert get(limpet.port, "/post", method="POST", body=body).text == "main"
            assert main.requests[-1].body == body
        assert {body for _, _, body in asked(copy, 3)[1:]} == {b"small", b"large" * 1000}
        count = 3
        assert get(limpet.port, "/off/x").text == "main" and get(limpet.port, "/local").text == "local"
        assert get(limpet.port, "/headless/", method="POST", body=b"body").text == "main"
        assert asked(copy, count + 1)[-1] == ("POST", "/headless/", b"")
        assert get(limpet.port, "/two/").text == "main"
        assert {target for _, target, _ in asked(copy, count + 3)[-2:]} == {"/two/", "/other"}


def test_chunked_bodies_are_copied_whole(origins):
    (_, copy), limpet = run(origins)
    with limpet, Connection(limpet.port) as connection:
        connection.send("PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert connection.response().text == "main"
        assert asked(copy, 1) == [("PUT", "/c", b"abcde")]


def test_the_response_does_not_wait(origins):
    answered = threading.Event()

    def slow(request):
        answered.wait(20)
        return Reply(b"late")

    (main, copy), limpet = run(origins, copy=slow)
    with limpet, Connection(limpet.port) as connection:
        assert connection.request("/first").text == "main"
        asked(copy, 1)
        connection.send("GET /second HTTP/1.1\r\nHost: x\r\n\r\n")
        answered.set()  # the next request of this connection comes after the copy has ended
        assert connection.response().text == "main"
        assert main.hits == 2


def test_a_copy_that_fails_harms_nobody(origins):
    (_, copy), limpet = run(origins)
    with limpet, Connection(limpet.port) as connection:
        copy.stop()
        for _ in range(3):
            assert connection.request("/x").text == "main"


TRIED = """
events { }
http {
    server {
        listen {port};
        root {dir};
        mirror /copy;
        location / { try_files /nothing @app; }
        location /found/ { try_files /page =404; }
        location @app { proxy_pass http://127.0.0.1:{main}; }
        location = /copy { proxy_pass http://127.0.0.1:{copy}$request_uri; }
    }
}
"""


def test_what_try_files_sends_elsewhere_is_copied_once(origins):
    main, copy = origins("main", "copy")
    with Limpet(TRIED, workers=1, main=main.port, copy=copy.port) as limpet:
        with open(limpet.path("page"), "w") as page:
            page.write("page")
        for body in (b"", b"some"):
            assert get(limpet.port, "/a", method="POST", body=body).text == "main"
        assert get(limpet.port, "/found/b").text == "page"
        asked(copy, 3)
        assert sorted((r.target, r.body) for r in copy.requests) == [("/a", b""), ("/a", b"some"), ("/found/b", b"")]
        assert [r.body for r in main.requests] == [b"", b"some"]
