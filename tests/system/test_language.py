"""What configurations say, as a running limpet understands it: names with dots, what is accepted, what -t tells."""
import ctypes
import os
import re
import signal
import socket

import pytest

from client import Connection, get
from daemon import Limpet
from origin import Origin, Reply
from ports import free_port
from waiting import wait_until

LEARN = """
events { }
http {
    upstream app {
        server 127.0.0.1:{a};
        server 127.0.0.1:{b};
        sticky learn create=$upstream_cookie_connect.sid lookup=$cookie_connect.sid zone=z:1m header;
    }
    server { listen {port}; location / { proxy_pass http://app; } }
}
"""


def test_a_cookie_with_a_dot_in_its_name_is_learned():
    """Each user stays at the server that has given the cookie, and not all at one."""
    def login(name):
        def respond(request):
            user = re.search(r"user=(\d+)", request.target)
            return Reply(name.encode(), headers=[("Set-Cookie", f"connect.sid={name}-{user[1]}")] if user else [])
        return respond

    with Origin("a", login("a")) as a, Origin("b", login("b")) as b:
        with Limpet(LEARN, a=a.port, b=b.port) as limpet:
            homes = {f"connect.sid={home.text}-{user}": home.text
                     for user in range(6) for home in [get(limpet.port, f"/?user={user}")]}
            assert set(homes.values()) == {"a", "b"}
            for _ in range(2):
                for cookie, home in homes.items():
                    assert get(limpet.port, headers=[("Cookie", f"x=1; {cookie}")]).text == home


BROWSERS = """
events { }
http {
    server {
        listen {port};
        modern_browser msie 5.5;
        modern_browser gecko 1.0.0;
        modern_browser opera 9.0;
        modern_browser konqueror 3.0;
        ancient_browser Lynx "Links";
        location / { return 200 "$msie|$modern_browser|$ancient_browser"; }
        location /unlisted {
            modern_browser unlisted;
            modern_browser_value new;
            ancient_browser Mozilla/4.0;
            ancient_browser_value old;
            return 200 "$modern_browser|$ancient_browser";
        }
    }
}
"""


@pytest.mark.parametrize("agent, says, unlisted", [
    ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", "1|1|", "|old"),
    ("Mozilla/4.0 (compatible; MSIE 5.0; Windows NT 5.1)", "1||1", "|old"),
    ("Mozilla/4.0 (compatible; MSIE 6.0; X11; FreeBSD i386) Opera 7.50  [en]", "||1", "|old"),
    ("Opera/9.01 (X11; FreeBSD 6 i386; U; en)", "|1|", "new|"),
    ("Mozilla/5.0 (X11; U; Linux i686; en-US; rv:1.0.0) Gecko/20020610", "|1|", "new|"),
    ("Mozilla/5.0 (X11; U; Linux i686; en-US; rv:0.9.9) Gecko/20020610", "||1", "new|"),
    ("Mozilla/5.0 (compatible; Konqueror/3.4; Linux) KHTML/3.4.2 (like Gecko)", "|1|", "new|"),
    ("Lynx/2.8", "||1", "new|"),
    ("curl/8.0", "||1", "new|"),
    (None, "||1", "new|"),
])
def test_browsers(agent, says, unlisted):
    with Limpet(BROWSERS) as limpet:
        headers = [("User-Agent", agent)] if agent else []
        assert get(limpet.port, headers=headers).text == says
        assert get(limpet.port, "/unlisted", headers=headers).text == unlisted


CACHING = """
events { }
http {
    proxy_cache_path {dir}/cache keys_zone=k:1m;
    proxy_cache_valid 200 1m;
    server {
        listen {port};
        location / {
            proxy_cache k;
            proxy_cache_key $uri;
            add_header X-Cache "<$upstream_cache_status|$upstream_cache_age>";
            proxy_pass http://127.0.0.1:{origin};
        }
    }
}
"""


def test_a_cache_is_left_out_and_all_is_answered():
    with Origin() as origin, Limpet(CACHING, origin=origin.port) as limpet:
        for _ in range(2):
            answer = get(limpet.port)
            assert (answer.text, answer.header("X-Cache")) == ("origin", "<|>")
        assert origin.hits == 2
        assert not os.path.exists(limpet.path("cache"))
        assert len(limpet.log_lines(r'\[warn\].*"proxy_cache" is left out: responses are not kept in .*limpet.conf:9')) == 1
        assert not limpet.log_lines("has no effect")


ACCEPTED = """
events { multi_accept on; }
http {
    tcp_nopush on;
    aio off;
    server {
        listen {port};
        server_name a.test;
    }
    server {
        listen {port};
        server_name a.test;
    }
}
"""


def test_minus_t_tells_of_what_has_no_effect():
    with Limpet(ACCEPTED, start=False) as limpet:
        lines = limpet.run("-t").stderr.splitlines()
        place = limpet.path("limpet.conf")
        assert f'limpet: [notice] "multi_accept" has no effect: workers take connections in turn in {place}:2' in lines
        assert sum("[notice]" in line for line in lines) == 2
        warning = f"limpet: [warn] conflicting server name \"a.test\" on 0.0.0.0:{limpet.port}, ignored in {place}:12"
        assert warning in lines
        assert "[notice]" not in limpet.run("-t", "-q").stderr


PLACES = {
    "user nobody-of-that-name;\nevents { }": r'getpwnam\("nobody-of-that-name"\) failed.* in \S+limpet.conf:1\n',
    "events { }\nhttp {\n    server {\n        listen {port} ssl;\n        ssl_certificate {dir}/none.pem;\n"
    "        ssl_certificate_key {dir}/none.key;\n    }\n}": r'cannot load certificate "\S+none.pem".* in \S+limpet.conf:5\n',
    "events { }\nhttp {\n    access_log {dir}/no/folder/a.log;\n    server { listen {port}; }\n}":
        r'open\(\) "\S+a.log" failed.* in \S+limpet.conf:3\n',
    "events { }\nerror_log {dir}/no/folder/e.log;\nhttp { }": r'open\(\) "\S+e.log" failed.* in \S+limpet.conf:2\n',
}


@pytest.mark.parametrize("config", PLACES)
def test_faults_that_show_late_name_the_place(config):
    if "user" in config and os.geteuid() != 0:
        pytest.skip("only root looks for a user")
    with Limpet(config, start=False) as limpet:
        assert re.search(PLACES[config], limpet.run("-t").stderr)


DELAY = """
events { }
http {
    server {
        listen {port};
        location / { return 200 on; }
        location /off { tcp_nodelay off; return 200 off; }
    }
}
"""
PIDFD_OPEN, PIDFD_GETFD = 434, 438


def nodelay(limpet, client):
    """TCP_NODELAY of the worker's end of this connection, or None if the system does not let us look."""
    libc = ctypes.CDLL(None, use_errno=True)
    (worker,) = limpet.workers()
    pidfd = libc.syscall(PIDFD_OPEN, worker, 0)
    if pidfd < 0:
        return None
    try:
        for name in os.listdir(f"/proc/{worker}/fd"):
            copy = libc.syscall(PIDFD_GETFD, pidfd, int(name), 0)
            if copy < 0:
                continue
            try:
                with socket.socket(fileno=copy) as end:
                    if end.type == socket.SOCK_STREAM and end.getpeername() == client.socket.getsockname():
                        return end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            except OSError:
                continue
    finally:
        os.close(pidfd)
    return None


def test_tcp_nodelay():
    with Limpet(DELAY, workers=1) as limpet:
        client = Connection(limpet.port)
        client.request("/")
        if nodelay(limpet, client) is None:
            pytest.skip("no access to another process's sockets")
        assert nodelay(limpet, client) != 0
        client.request("/off")
        assert nodelay(limpet, client) == 0
        client.request("/")
        assert nodelay(limpet, client) != 0


SAFE = """
worker_processes 1;
events { worker_connections 12; }
http {
    server {
        listen {port};
        location / { return 200 "some"; }
        location /safe { keepalive_min_timeout 1h; return 200 "safe"; }
        location /short { keepalive_timeout 1s; keepalive_min_timeout 1s; return 200 "short"; }
    }
}
"""


def closed(client):
    """Waits until the server has closed the connection."""
    return client.stream.read(1) == b""


def test_keepalive_min_timeout_of_a_connection_that_others_want():
    with Limpet(SAFE) as limpet:
        safe, other = Connection(limpet.port), Connection(limpet.port)
        assert safe.request("/safe").text == "safe"
        assert other.request("/").text == "some"
        crowd = []
        for _ in range(20):
            crowd.append(Connection(limpet.port))
            assert crowd[-1].request("/").text == "some"
        assert closed(other)
        assert safe.request("/safe").text == "safe"


def test_keepalive_min_timeout_of_a_connection_to_a_worker_that_ends():
    with Limpet(SAFE) as limpet:
        safe, other = Connection(limpet.port), Connection(limpet.port)
        assert safe.request("/safe").text == "safe"
        assert other.request("/").text == "some"
        limpet.kill(signal.SIGQUIT)
        assert closed(other)
        answer = safe.request("/safe")
        assert (answer.text, answer.header("Connection")) == ("safe", "close")
        assert closed(safe)


PASSED = """
events { }
http {
    server {
        listen {port};
        location /kept { return 200 kept; }
        location /page { keepalive_timeout 0; error_page 404 /kept; return 404; }
        location /named { keepalive_timeout 0; error_page 404 @kept; return 404; }
        location /rewritten { keepalive_timeout 0; rewrite ^ /kept last; }
        location /tried { keepalive_timeout 0; try_files /none /kept; }
        location @kept { return 200 kept; }
    }
    server {
        listen {other};
        keepalive_timeout 0;
        location /kept { keepalive_timeout 1h; return 200 kept; }
        location /page { keepalive_timeout 1h; error_page 404 /kept; return 404; }
    }
}
"""


def test_keepalive_timeout_of_locations_that_are_passed_through():
    def says(port, path):
        with Connection(port) as client:
            return client.request(path).header("Connection")

    with Limpet(PASSED, other=free_port()) as limpet:
        for path in ("/page", "/named", "/rewritten", "/tried"):
            assert (path, says(limpet.port, path)) == (path, "close")
        assert says(limpet.port, "/kept") == "keep-alive"
        assert says(limpet.values["other"], "/kept") == "keep-alive"
        assert says(limpet.values["other"], "/page") == "close"  # by way of the server's own


def test_keepalive_timeout_holds_whatever_is_safe():
    with Limpet(SAFE) as limpet:
        client = Connection(limpet.port)
        assert client.request("/short").text == "short"
        assert closed(client)


CYCLES = """
events { }
http {
    map $arg_a $b { default b$c; }
    map $arg_a $c { default c$b; }
    map $document_root $r { default $document_root; }
    server {
        listen {port};
        location /map { return 200 $b; }
        location /file/ { root $request_filename; }
        location /root/ { root $r; }
        location / { proxy_pass http://app; proxy_set_header X-B $b; health_check uri=/alive; }
    }
    upstream app { zone app 64k; server 127.0.0.1:{origin}; }
}
"""


def test_a_variable_that_is_made_of_itself_ends(origins):
    (origin,) = origins("origin")
    with Limpet(CYCLES, workers=1, origin=origin.port) as limpet:
        workers = limpet.workers()
        assert get(limpet.port, "/map").text == "bc"
        assert [get(limpet.port, path).status for path in ("/file/x", "/root/x")] == [404, 404]
        assert get(limpet.port, "/").text == "origin"
        wait_until(lambda: {"/", "/alive"} <= {request.target for request in origin.requests}, "a health check")
        assert {request.header("X-B") for request in origin.requests} == {"bc"}
        for name in ("b", "request_filename", "r"):
            limpet.wait_log(rf'\[error\].*cycle while evaluating variable "{name}"')
        assert limpet.workers() == workers
