"""Regular expressions that PCRE2 gives up on: a rule that cannot be evaluated lets nobody through."""
import os
import re
import socket
import ssl

import pytest

from certificates import Authority
from client import Connection
from daemon import Limpet
from origin import Origin, Reply
from ports import free_port
from waiting import wait_until

# EVIL needs more steps than PCRE2 allows for BOMB. SLOW only needs a larger stack than JIT begins with.
EVIL = "^(a+)+$"
BOMB = "a" * 40 + "b"
SLOW = r"^(?:.|\s)*sqlmap"

CONFIG = r"""
events { }
http {
    large_client_header_buffers 4 128k;
    log_format mapped "$uri [$by_map] $status";
    log_format short "$uri $status";
    map $http_x_map $by_map { "~EVIL" bad; default good; }
    map $sent_http_x_late $late { "~EVIL" bad; "" ""; default good; }
    map $http_x_log $logged { "~EVIL" 1; default 0; }
    access_log {dir}/mapped.log mapped;
    access_log {dir}/conditional.log short if=$logged;
    server {
        listen {port};
        root {dir}/www;
        recursive_error_pages on;
        location = /slow { if ($http_user_agent ~* "SLOW") { return 403; } return 200 "through"; }
        location = /if { if ($http_x ~ "EVIL") { return 403; } return 200 "through"; }
        location = /ifnot { if ($http_x !~ "EVIL") { return 200 "through"; } return 403; }
        location = /map { if ($by_map = bad) { return 403; } return 200 "through"; }
        location = /mapnot { if ($by_map != good) { return 403; } return 200 "through"; }
        location = /set { set $a $by_map; return 200 "through"; }
        location = /text { return 200 "through $by_map"; }
        location = /away { return 302 http://other/$by_map; }
        location /in/ { return 200 "through"; }
        location ~ "^/in/(a+)+$" { return 403; }
        location /re/ { rewrite "^/re/(a+)+$" /in/x last; return 200 "through"; }
        location = /referer {
            valid_referers none other.test ~\.(a+)+$;
            if ($invalid_referer) { return 403; }
            return 200 "through";
        }
        location = /header { add_header X-Map $by_map; return 200 "through"; }
        location = /file.txt { add_header X-Map $by_map; }
        location = /trailer { add_trailer X-Late $by_map; proxy_pass http://127.0.0.1:{origin}; }
        location = /gzip { gzip on; gzip_disable "(a+)+$"; gzip_min_length 1; gzip_types *; return 200 "through"; }
        location = /proxied { proxy_set_header X-Map $by_map; proxy_pass http://127.0.0.1:{origin}; }
        location = /proxiedhead { add_header X-Map $by_map; proxy_pass http://127.0.0.1:{origin}; }
        location = /target { proxy_pass http://$by_map; }
        location = /hashed { proxy_pass http://hashed; }
        location = /redirect { proxy_redirect ~^/(a+)+$ /x; proxy_pass http://127.0.0.1:{origin}; }
        location = /cookie { proxy_cookie_path ~^/(a+)+$ /x; proxy_pass http://127.0.0.1:{origin}; }
        location = /flags { proxy_cookie_flags ~^(a+)+$ secure; proxy_pass http://127.0.0.1:{origin}; }
        location = /page {
            error_page 500 /own;
            if ($http_x ~ "EVIL") { return 403; }
            return 200 "through";
        }
        location = /own { if ($http_x ~ "EVIL") { return 200 "let in"; } return 200 "own page"; }
        location = /page200 { error_page 500 =200 /in/own; if ($http_x ~ "EVIL") { return 403; } }
        location = /pagehead { error_page 500 /headed; if ($http_x ~ "EVIL") { return 403; } }
        location = /headed { add_header X-Map $by_map always; return 200 "headed"; }
        location = /bodied { proxy_set_header X-Map $by_map; proxy_pass http://127.0.0.1:{origin}; }
        location = /auth { auth_request /ask; proxy_pass http://127.0.0.1:{origin}; }
        location = /ask { if ($http_x ~ "EVIL") { return 403; } return 204; }
        location = /mirrored { mirror /$by_map; proxy_pass http://127.0.0.1:{origin}; }
        location = /limited { limit_conn conns 10; proxy_pass http://127.0.0.1:{origin}; }
    }
    limit_conn_zone $by_map zone=conns:64k;
    upstream hashed { hash $by_map; server 127.0.0.1:{origin}; }
    server { listen {named}; return 444; }
    server { listen {named}; server_name ~^(a+)+$; return 200 "through"; }
}
""".replace("EVIL", EVIL).replace("SLOW", SLOW)


def respond(request):
    if request.target == "/redirect":
        return Reply(b"", "302 Found", [("Location", "/" + BOMB)])
    if request.target in ("/cookie", "/flags"):
        return Reply(b"through", headers=[("Set-Cookie", f"{BOMB}=1; path=/{BOMB}")])
    return Reply(chunks=[b"through"])


@pytest.fixture(scope="module")
def origin():
    with Origin(respond=respond) as origin:
        yield origin


@pytest.fixture(scope="module")
def limpet(origin):
    with Limpet(CONFIG, origin=origin.port, named=free_port(), start=False) as limpet:
        os.mkdir(limpet.path("www"))
        with open(limpet.path("www/file.txt"), "w") as out:
            out.write("through")
        limpet.start()
        yield limpet


def ask(limpet, path, *headers, method="GET", body=b"", host="localhost", port=None):
    connection = Connection(port or limpet.port)
    return connection.request(path, method, headers, body, host=host)


def alerts(limpet):
    return len(limpet.log_lines(r"\[alert\]"))


@pytest.mark.parametrize("size", [1500, 7000, 30000, 100000])
def test_a_long_value_is_still_seen(limpet, size):
    before = alerts(limpet)
    assert ask(limpet, "/slow", ("User-Agent", "a" * size + " sqlmap")).status == 403
    assert ask(limpet, "/slow", ("User-Agent", "a" * size)).text == "through"
    assert alerts(limpet) == before


X, MAP = ("X", BOMB), ("X-Map", BOMB)


@pytest.mark.parametrize("path, headers", [
    ("/if", [X]), ("/ifnot", [X]), ("/map", [MAP]), ("/mapnot", [MAP]), ("/set", [MAP]), ("/text", [MAP]),
    ("/away", [MAP]), ("/in/" + BOMB, []), ("/re/" + BOMB, []), ("/referer", [("Referer", "http://x." + BOMB)]),
    ("/header", [MAP]), ("/file.txt", [MAP]), ("/gzip", [("User-Agent", BOMB), ("Accept-Encoding", "gzip")]),
    ("/target", [MAP]), ("/redirect", []), ("/cookie", []), ("/flags", []), ("/auth", [X]), ("/mirrored", [MAP]),
    ("/limited", [MAP]), ("/proxiedhead", [MAP]), ("/headed", [MAP])])
def test_what_gives_up_is_500_and_one_alert(limpet, path, headers):
    before = alerts(limpet)
    answer = ask(limpet, path, *headers)
    assert answer.status == 500
    assert b"through" not in answer.body and b"500 Internal Server Error" in answer.body
    lines = limpet.wait_log(r"\[alert\]", before + 1)
    assert len(lines) == before + 1
    assert re.search(r"pcre2_match\(\) failed: match limit exceeded using \"[^\"]*\(a\+\)\+\$\"", lines[-1])
    assert f'request: "GET {path} ' in lines[-1]


@pytest.mark.parametrize("path, headers", [
    ("/if", [("X", "b")]), ("/ifnot", [("X", "b")]), ("/map", []), ("/mapnot", []), ("/text", []), ("/in/b", []),
    ("/re/b", []), ("/referer", []), ("/header", []), ("/file.txt", []), ("/proxied", []), ("/auth", []),
    ("/hashed", []), ("/limited", []), ("/mirrored", []), ("/trailer", [])])
def test_what_does_not_match_goes_on(limpet, path, headers):
    assert b"through" in ask(limpet, path, *headers).body


@pytest.mark.parametrize("path", ["/proxied", "/hashed", "/target"])
def test_nothing_is_sent_upstream(limpet, origin, path):
    hits = origin.hits
    assert ask(limpet, path, MAP).status == 500
    assert ask(limpet, "/bodied", MAP, method="POST", body=b"x" * 100).status == 500
    assert origin.hits == hits
    assert b"through" in ask(limpet, "/proxied").body


def test_error_pages(limpet):
    assert ask(limpet, "/page", X).status == 500  # its own page cannot be evaluated either
    assert ask(limpet, "/page200", X).text == "through"  # as configured
    answer = ask(limpet, "/pagehead", X, MAP)
    assert (answer.status, answer.text, answer.header("X-Map")) == (500, "headed", None)
    assert ask(limpet, "/headed").header("X-Map") == "good"


def test_names_of_servers(limpet):
    port = limpet.values["named"]
    assert ask(limpet, "/", host="aaa", port=port).text == "through"
    assert ask(limpet, "/", host=BOMB, port=port).status == 500
    with pytest.raises(ConnectionResetError):
        ask(limpet, "/", host="b", port=port)


def log_line(limpet, name, pattern):
    def find():
        with open(limpet.path(name)) as log:
            return [line for line in log if re.search(pattern, line)]
    return wait_until(find, f"a line like {pattern}")[0]


def test_logs_and_trailers_come_after_the_head(limpet):
    before = alerts(limpet)
    assert ask(limpet, "/in/log1", MAP).text == "through"
    assert log_line(limpet, "mapped.log", "/in/log1") == "/in/log1 [-] 200\n"
    assert alerts(limpet) == before + 1
    answer = ask(limpet, "/trailer", MAP)
    assert (answer.status, answer.text) == (200, "through")


def test_a_condition_that_gives_up_hides_no_request(limpet):
    ask(limpet, "/in/hidden", ("X-Log", "b"))
    ask(limpet, "/in/shown", ("X-Log", BOMB))
    assert log_line(limpet, "conditional.log", "/in/shown")
    with open(limpet.path("conditional.log")) as log:
        assert "hidden" not in log.read()


TLS_CONFIG = r"""
events { }
http {
    map $ssl_server_name $certificate { "~EVIL" a.test; default a.test; }
    server { listen {port} ssl; ssl_certificate {dir}/a.test.crt; ssl_certificate_key {dir}/a.test.key; return 200 one; }
    server {
        listen {port} ssl;
        server_name ~^(a+)+$;
        ssl_certificate {dir}/a.test.crt;
        ssl_certificate_key {dir}/a.test.key;
        return 200 two;
    }
    server {
        listen {varying} ssl;
        ssl_certificate {dir}/$certificate.crt;
        ssl_certificate_key {dir}/$certificate.key;
        return 200 three;
    }
}
""".replace("EVIL", EVIL)


def handshake(port, name):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw, tls.wrap_socket(raw, server_hostname=name) as client:
        client.sendall(f"GET / HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
        answer = b""
        while part := client.recv(65536):
            answer += part
        return answer


@pytest.mark.parametrize("port", ["port", "varying"])
def test_a_handshake_is_refused(port):
    with Limpet(TLS_CONFIG, varying=free_port(), start=False) as limpet:
        Authority(limpet.dir).issue("a.test")
        os.chmod(limpet.path("a.test.key"), 0o644)
        limpet.start()
        assert b" 200 " in handshake(limpet.values[port], "b")
        assert b" 200 " in handshake(limpet.values[port], "aaa")
        with pytest.raises(ssl.SSLError):
            handshake(limpet.values[port], BOMB)
        lines = limpet.wait_log(r"\[alert\]")
        assert len(lines) == 1 and "pcre2_match() failed: match limit exceeded" in lines[0]
