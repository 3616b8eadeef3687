"""proxy_pass with a URL that the request makes: what it may be, and what is kept of it; and answers that something else replaces."""
import pytest

from client import get
from daemon import Limpet
from origin import Origin, Reply

CONFIG = """
events { }
http {
    log_format seen '[$proxy_host] [$proxy_port]';
    upstream kept { server 127.0.0.1:{origin}; keepalive 4; }
    upstream localhost { server 127.0.0.1:{origin}; }
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    server {
        listen {port};
        error_page 404 /page;
        location /host { proxy_pass http://$arg_h/; }
        location /url { add_header X-Seen '[$proxy_host$proxy_port]' always; proxy_pass $arg_u; }
        location /port { proxy_pass http://127.0.0.1:$arg_p/; }
        location /args { set $to 127.0.0.1:{origin}; proxy_pass http://$to$is_args$args; }
        location /none { set $to 127.0.0.1:{origin}; proxy_pass http://$to; }
        location /accel { proxy_pass http://kept; }
        location /intercepted { proxy_pass http://kept; proxy_intercept_errors on; }
        location = /page { return 200 page; }
        location /hidden { proxy_hide_header X-Powered-By; proxy_hide_header X-Other; proxy_pass_header X-Powered-By; proxy_pass http://kept; }
    }
}
"""


@pytest.fixture
def origin():
    with Origin() as made:
        yield made


@pytest.fixture
def limpet(origin):
    with Limpet(CONFIG, workers=1, origin=origin.port) as made:
        yield made


def test_what_an_earlier_request_named_is_gone(limpet):
    name = "h" * 3000
    assert get(limpet.port, f"/host?h={name}").status == 502
    answer = get(limpet.port, "/url")
    assert (answer.status, answer.header("x-seen")) == (500, "[]")


@pytest.mark.parametrize("port", ["", "x", "80x", "-1", "%31", "0", "65536"])
def test_a_port_that_is_none_is_no_other(limpet, port):
    assert get(limpet.port, f"/port?p={port}").status == 500
    assert limpet.log_lines("invalid port in upstream")


@pytest.mark.parametrize("url, host, port", [
    ("http://127.0.0.2:80/", "127.0.0.2", "80"),
    ("https://127.0.0.2:443", "127.0.0.2", "443"),
    ("http://[::1]:80/", "[::1]", "80"),
    ("http://127.0.0.2:443/", "127.0.0.2:443", "443"),
])
def test_the_scheme_s_own_port_is_no_part_of_the_host(limpet, url, host, port):
    assert get(limpet.port, f"/url?u={url}").header("x-seen") == f"[{host}{port}]"


def test_a_socket_is_not_the_upstream_that_its_host_is_called(limpet, origin):
    assert get(limpet.port, "/url?u=http://unix:/nowhere:/").status == 502
    assert get(limpet.port, "/url?u=http://localhost/").status == 200
    assert len(origin.requests) == 1


def test_what_follows_the_host_is_a_path(limpet, origin):
    assert get(limpet.port, "/args?y=2").status == 200
    assert origin.requests[-1].target == "/?y=2"
    assert get(limpet.port, "/none?y=2").status == 200
    assert origin.requests[-1].target == "/none?y=2"


@pytest.mark.parametrize("path, reply", [
    ("/accel", Reply(b"", headers=[("X-Accel-Redirect", "/page")])),
    ("/intercepted", Reply(b"", status="404 Not Found")),
])
def test_a_connection_is_kept_whose_empty_answer_is_replaced(limpet, origin, path, reply):
    origin.respond = lambda request: reply
    for _ in range(3):
        assert get(limpet.port, path).text == "page"
    assert origin.connections == 1


def test_one_whose_body_would_follow_is_not(limpet, origin):
    origin.respond = lambda request: Reply(b"text", headers=[("X-Accel-Redirect", "/page")])
    for _ in range(3):
        assert get(limpet.port, "/accel").text == "page"
    assert origin.connections == 3


def test_what_is_passed_is_not_hidden(limpet, origin):
    origin.respond = lambda request: Reply(b"x", headers=[("X-Powered-By", "1"), ("X-Other", "2")])
    answer = get(limpet.port, "/hidden")
    assert (answer.header("x-powered-by"), answer.header("x-other")) == ("1", None)
