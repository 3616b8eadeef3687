"""client_max_body_size: nothing of a body that is said to be too long is read, whoever answers instead of its location."""
import pytest

from client import Connection, get
from daemon import Limpet
from origin import Reply

CONFIG = """
events { }
http {
    client_max_body_size 1m;
    client_body_temp_path {dir}/body;
    server {
        listen {port};
        if ($arg_early) { return 403; }
        if ($arg_named) { return 402; }
        error_page 400 403 413 /page;
        error_page 402 @page;
        location / { proxy_pass http://127.0.0.1:{app}; }
        location /named { error_page 413 @page; proxy_pass http://127.0.0.1:{app}; }
        location /local { error_page 413 @local; proxy_pass http://127.0.0.1:{app}; }
        location /mirrored { error_page 413 /copied; proxy_pass http://127.0.0.1:{app}; }
        location /copied { mirror /copy; proxy_pass http://127.0.0.1:{pages}; }
        location /copy { internal; proxy_pass http://127.0.0.1:{pages}; }
        location /page { proxy_pass http://127.0.0.1:{pages}; }
        location @page { proxy_pass http://127.0.0.1:{pages}; }
        location @local { return 413 "too long"; }
        location /more { client_max_body_size 4m; try_files $uri @less; }
        location @less { proxy_pass http://127.0.0.1:{app}; }
    }
}
"""
LENGTH = 3_000_000


@pytest.fixture
def run(origins):
    app, pages = origins("app", "pages")
    with Limpet(CONFIG, workers=1, app=app.port, pages=pages.port) as limpet:
        limpet.app, limpet.pages = app, pages
        yield limpet


def post(connection, path, more=""):
    connection.send(f"POST {path} HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {LENGTH}\r\n\r\n".encode() + b"y" * 100_000)


@pytest.mark.parametrize("path, more, status, text", [
    ("/", "", 413, "pages"),
    ("/?early=1", "", 403, "pages"),
    ("/", "Host: y\r\n", 400, "pages"),
    ("/named", "", 413, "pages"),  # which gets a POST with an empty one
    ("/?named=1", "", 402, None),
    ("/local", "", 413, "too long"),
    ("/mirrored", "", 413, "pages"),
])
def test_it_is_not_read_for_an_error_page(run, path, more, status, text):
    with Connection(run.port) as connection:
        post(connection, path, more)  # the rest never comes
        answer = connection.response()
        assert answer.status == status
        assert text is None or answer.text == text
    assert run.app.hits == 0
    method = "POST" if path == "/named" else "GET"
    assert all(asked.method == method and not asked.body for asked in run.pages.requests)
    assert run.log_lines(f"client intended to send too large body: {LENGTH} bytes")
    assert not run.log_lines("temporary file")


def test_a_named_location_goes_by_the_limit_of_the_one_before(run):
    run.app.respond = lambda request: Reply(str(len(request.body)).encode())
    assert get(run.port, "/more", method="POST", body=b"y" * LENGTH).text == str(LENGTH)
    assert get(run.port, "/more", method="POST", body=b"y" * (2 * LENGTH)).status == 413
