"""Access logs: what a line says, where it goes, and that nothing is lost; error logs in containers."""
import gzip
import json
import os
import re
import signal
import socket
import time

from hyperframe.frame import ContinuationFrame, HeadersFrame

from client import Connection, get
from daemon import Limpet
from http2 import Http2
from origin import Origin, Reply
from ports import free_port
from waiting import wait_until

CONFIG = """
events { }
http {
    log_format short '$request_method $uri "$args" $status $body_bytes_sent $request_length $upstream_status $sent_http_location';
    log_format json escape=json '{"agent":"$http_user_agent","cookie":"$cookie_a"}';
    log_format pieces '$uri' 'x|$unset|$one|$two';
    log_format types '$uri|$content_type';
    log_format plain escape=none '$http_user_agent';
    map $status $loggable { ~^2 0; default 1; }
    server {
        listen {port};
        access_log {dir}/short.log short;
        location / { return 200 ok; }
        location /red { return 301 /there; }
        location /off { access_log off; return 200 ok; }
        location /errors { access_log {dir}/errors.log short if=$loggable; try_files $arg_file =404; }
        location /json { access_log {dir}/json.log json; return 200 ok; }
        location /plain { access_log {dir}/plain.log plain; return 200 ok; }
        location ~ ^/pieces/(?<one>a)?(?<two>b)?$ { access_log {dir}/pieces.log pieces; return 200 ok; }
        location ~ ^/never(?<unset>.)$ { return 200; }
        location /types { access_log {dir}/types.log types; return 200 "$content_type"; }
        location /both { access_log {dir}/short.log short; access_log {dir}/json.log json; return 200 ok; }
        location /buffered { access_log {dir}/buffered.log short buffer=64k flush=1h; return 200 ok; }
        location /syslog { access_log syslog:server=127.0.0.1:{syslog},tag=mine,severity=notice short; return 200 ok; }
        location /errors_to_syslog {
            access_log off;
            root /nonexistent;
            error_log syslog:server=127.0.0.1:{syslog},tag=mine,facility=user error;
        }
        location /up { proxy_pass http://127.0.0.1:{origin}; }
    }
}
"""


def lines(limpet, name, count):
    def read():
        if not os.path.exists(limpet.path(name)):
            return None
        with open(limpet.path(name)) as text:
            found = text.read().splitlines()
        return found if len(found) >= count else None
    return wait_until(read, f"{count} lines in {name}")


def test_lines(origins):
    (origin,) = origins("origin", respond=lambda request: Reply(b"abc", status="404 No"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(10)
        with Limpet(CONFIG, workers=1, origin=origin.port, syslog=collector.getsockname()[1]) as limpet:
            get(limpet.port, "/a?b=c")
            get(limpet.port, "/red")
            get(limpet.port, "/off")
            get(limpet.port, "/up/x", method="POST", body=b"12345")
            with Connection(limpet.port) as connection:
                connection.send("POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
                connection.response()
            head = len("GET /a?b=c HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            found = lines(limpet, "short.log", 4)
            assert found[0] == f'GET /a "b=c" 200 2 {head} - -'
            assert found[1].startswith('GET /red "-" 301 ') and found[1].endswith(f"http://localhost:{limpet.port}/there")
            assert found[2].split()[:5] == ["POST", "/up/x", '"-"', "404", "3"] and found[2].split()[6] == "404"
            assert int(found[2].split()[5]) == len(
                "POST /up/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\n\r\n12345")
            assert int(found[3].split()[5]) == len(
                "POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
            get(limpet.port, "/syslog")
            assert b"mine: GET /syslog" in collector.recv(2000)
            get(limpet.port, "/errors_to_syslog")
            assert re.match(rb"<11>\w{3} [ \d]\d [\d:]{8} \S+ mine: \d{4}/\d\d/\d\d [\d:]{8} \[error\] \d+#\d+: \*\d+ open",
                            collector.recv(2000))


def test_nothing_is_logged_unless_a_file_is_named():
    with Limpet("events { } http { server { listen {port}; location / { return 200 ok; } } }") as limpet:
        assert get(limpet.port, "/said?nowhere").status == 200
        limpet.end()
        written = [os.path.join(folder, name) for folder, _, names in os.walk(limpet.dir) for name in names]
        for path in written:
            with open(path, "rb") as text:
                assert b"/said?nowhere" not in text.read(), path
        assert limpet.path("error.log") in written and not os.path.exists(limpet.path("logs"))


def test_connections_without_a_request():
    with Limpet(CONFIG, workers=1, origin=1, syslog=1) as limpet:
        where = rf"client: 127.0.0.1, server: 0.0.0.0:{limpet.port}$"
        with Connection(limpet.port):
            pass
        limpet.wait_log(r"\[info\] .*\*\d+ client closed connection while waiting for request, " + where)
        with Connection(limpet.port) as connection:
            connection.send("GET / HT")
        begun = 'client: 127.0.0.1, server: , request: "'
        limpet.wait_log(rf'client prematurely closed connection while reading client request line, {begun}GET / HT"$')
        with Connection(limpet.port) as connection:
            connection.send("GET / HTTP/1.1\r\nHo")
        limpet.wait_log(rf'client prematurely closed connection while reading client request headers, {begun}GET / HTTP/1.1"$')
        with Connection(limpet.port) as connection:
            assert connection.request("/").status == 200
        limpet.wait_log(r"client 127.0.0.1 closed keepalive connection$")


def test_header_lines_that_are_ignored_or_come_twice():
    with Limpet(CONFIG, workers=1, origin=1, syslog=1) as limpet:
        head = "GET / HTTP/1.1\r\nHost: a\r\n"
        with Connection(limpet.port) as connection:
            connection.send(head + "A_b: 1\r\n\r\n")
            assert connection.response().status == 200
        limpet.wait_log('client sent invalid header line: "A_b: 1" while reading client request headers, client: 127.0.0.1')
        for second, kind, told in (("Host: b", "host header", '"Host: b", previous value: "Host: a"'),
                                   ("If-Match: x\r\nif-match: y", "header line",
                                    '"if-match: y", previous value: "If-Match: x"')):
            with Connection(limpet.port) as connection:
                connection.send(f"{head}{second}\r\n\r\n")
                assert connection.response().status == 400
            limpet.wait_log(f"client sent duplicate {kind}: {told} while reading client request headers, ")
        with Connection(limpet.port) as connection:
            connection.send(head + "Authorization: Basic s3cret\r\n" * 2 + "\r\n")
            assert connection.response().status == 400
        limpet.wait_log("client sent duplicate header line while reading client request headers, ")
        assert not limpet.log_lines("s3cret")


def test_a_target_that_was_refused_has_an_empty_uri_and_a_request_without_one_has_none():
    with Limpet(CONFIG, workers=1, origin=9, syslog=9) as limpet:
        for line in ("GET /../up HTTP/1.1", "G\x01T / HTTP/1.1"):
            with Connection(limpet.port) as connection:
                connection.send(f"{line}\r\nHost: x\r\n\r\n")
                assert connection.response().status == 400
        found = lines(limpet, "short.log", 2)
        assert [line.split()[1] for line in found] == ['"-"', "-"] and found[0].startswith("GET  ")


def test_a_content_type_that_came_twice_is_joined():
    with Limpet(CONFIG, workers=1, origin=9, syslog=9) as limpet, Connection(limpet.port) as connection:
        response = connection.request("/types", headers=[("Content-Type", "a/b"), ("Content-Type", "c/d")])
        assert response.text == "a/b, c/d"
        lines(limpet, "types.log", 1)


def test_strings_of_a_format_stand_for_themselves_and_groups_without_a_match_are_empty():
    with Limpet(CONFIG, workers=1, origin=1, syslog=1) as limpet:
        get(limpet.port, "/pieces/b")
        assert lines(limpet, "pieces.log", 1) == ["/pieces/bx|-||b"]  # "-": no match has set it


OF_A_FILE = """
events { }
http {
    server {
        listen {port};
        access_log {dir}/$arg_log.log;
        error_page 403 /page;
        location = /file { alias {dir}/file; }
        location = /zipped { alias {dir}/file; gzip_static always; }
        location = /page { alias {dir}/file; }
        location = /denied { deny all; }
        location = /text { alias {dir}/file; return 200; }
        location = /none { alias {dir}/none; return 200; }
    }
}
"""


def test_a_log_with_a_variable_in_its_path_needs_a_site_or_a_file_that_was_sent():
    limpet = Limpet(OF_A_FILE, workers=1, start=False)
    os.chmod(limpet.dir, 0o777)  # for logs of the workers
    for name in "file", "file.gz":
        with open(limpet.path(name), "w") as text:
            text.write("x")
    with limpet:
        limpet.start()
        for name in "file", "zipped":
            assert get(limpet.port, f"/{name}?log={name}").status == 200
            assert f"GET /{name}?" in lines(limpet, f"{name}.log", 1)[0]
        for name, path, why in (("denied", "file", "20: Not a directory"), ("text", "file", "20: Not a directory"),
                                ("none", "none", "2: No such file or directory")):
            get(limpet.port, f"/{name}?log={name}")
            limpet.wait_log(rf'testing "{limpet.path(path)}" existence failed \({why}\) while logging request.*/{name}')
            assert not os.path.exists(limpet.path(f"{name}.log"))


def test_what_a_variable_has_not_is_empty_or_a_dash():
    config = """
        events { }
        http {
            log_format of '$http2|$share|$arg_none|';
            split_clients $uri $share { 0.01% some; }
            server { listen {port}; access_log {dir}/of.log of; location / { return 200; } }
        }"""
    with Limpet(config, workers=1) as limpet:
        get(limpet.port)
        assert lines(limpet, "of.log", 1) == ["||-|"]


def test_conditions_and_escapes():
    with Limpet(CONFIG, workers=1, origin=1, syslog=1) as limpet:
        open(limpet.path("there"), "w").close()
        get(limpet.port, "/errors?file=/none")
        assert lines(limpet, "errors.log", 1)[0].startswith("GET /errors ")
        odd = 'a"b\\c'
        for path in ("/json", "/plain", "/both"):
            get(limpet.port, path, [("User-Agent", odd)])
        first, second = lines(limpet, "json.log", 2)
        assert json.loads(first) == json.loads(second) == {"agent": odd, "cookie": ""}
        assert lines(limpet, "plain.log", 1) == [odd]


def test_buffers_are_written_at_the_end_and_files_reopened():
    limpet = Limpet(CONFIG, workers=2, origin=1, syslog=1)
    with limpet:
        for _ in range(5):
            get(limpet.port, "/buffered")
        get(limpet.port, "/a")
        lines(limpet, "short.log", 1)
        assert os.path.getsize(limpet.path("buffered.log")) == 0
        os.rename(limpet.path("short.log"), limpet.path("old.log"))
        limpet.kill(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(limpet.path("short.log")), "the new file")

        def reopened():
            get(limpet.port, "/b")
            return os.path.getsize(limpet.path("short.log")) > 0

        wait_until(reopened, "lines in the new file")
        assert len(lines(limpet, "buffered.log", 5)) == 5  # USR1 flushes
        get(limpet.port, "/buffered")
        assert limpet.end() == 0
        assert len(lines(limpet, "buffered.log", 6)) == 6


CONTAINER = """
user nobody nogroup;
events { }
http {
    log_format line '$request $status';
    access_log /dev/stdout line;
    server { listen {port}; error_log /dev/stderr; location / { return 200 ok; } location /files { root {dir}; } }
}
"""


def test_standard_streams_after_the_change_of_user():
    with Limpet(CONTAINER, workers=2) as limpet:  # whose output goes to one file that root has opened
        os.chmod(limpet.path("output"), 0o600)
        get(limpet.port, "/one")
        get(limpet.port, "/files/none")

        def output():
            with open(limpet.path("output")) as text:
                return text.read()

        wait_until(lambda: "GET /one HTTP/1.1 200\n" in output(), "the access log on stdout")
        wait_until(lambda: "/files/none\" failed (2: No such file" in output(), "the error log on stderr")
        limpet.kill(signal.SIGUSR1)
        limpet.wait_log("reopening logs")
        get(limpet.port, "/two")
        wait_until(lambda: "GET /two HTTP/1.1 200\n" in output(), "the access log after reopening")
        assert not limpet.log_lines(r"\[(emerg|alert|crit)\]")


HEADS = """
events { }
http {
    log_format head '$request|$request_method|$uri|$status|$body_bytes_sent';
    access_log {dir}/heads.log head;
    server {
        listen {port};
        client_header_timeout 1s;
        location / { return 200 ok; }
    }
}
"""


def test_heads_that_never_end():
    with Limpet(HEADS, workers=1) as limpet:
        with Connection(limpet.port) as late, Connection(limpet.port) as gone, Connection(limpet.port) as bad:
            bad.send("GET /bad HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n")
            assert bad.response().status == 400
            gone.send("GET /go")
            gone.socket.shutdown(socket.SHUT_WR)
            assert gone.stream.read() == b""
            late.send("GET /late HTTP/1.1\r\nHost: x\r\n")
            assert late.stream.read() == b""
        found = lines(limpet, "heads.log", 3)
        assert "GET /late HTTP/1.1|GET|/late|408|0" in found
        assert "GET /go|-|-|400|0" in found
        assert any(line.startswith("GET /bad HTTP/1.1|GET|/bad|400|") for line in found)
        limpet.wait_log("client timed out .110: Connection timed out. while reading client request headers, client: .*GET /late")
        limpet.wait_log("client prematurely closed connection while reading client request line, client: ")


STATES = """
events { }
http {
    server { listen {port}; http2 on; location / { proxy_pass http://127.0.0.1:{app}; } }
}
"""


def states(limpet, of):
    """What the error log says of its states, in their order."""
    return [line.split(f"{of}: ")[-1] for line in limpet.log_lines(rf"\[debug\] .*{of}: ")]


def test_each_change_of_state_is_a_debug_line():
    with Origin() as origin, Limpet(STATES, workers=1, log_level="debug", app=origin.port) as limpet:
        assert get(limpet.port).status == 200
        limpet.wait_log("http1 connection: closed")
        assert states(limpet, "http1 connection") == ["idle", "exchange", "answered", "closed"]
        assert states(limpet, "http exchange") == ["routing", "proxying", "done", "idle"]
        assert states(limpet, "http proxy")[-2:] == ["talking", "idle"]
        with Http2(limpet.port) as client:
            assert client.get("/").status == 200
        limpet.wait_log("http2 connection: closed")
        assert {"idle", "busy", "closed"} <= set(states(limpet, "http2 connection"))


CLOSED_FOLDER = """
events { }
http {
    log_format short '$uri';
    server {
        listen {port};
        access_log {dir}/closed/access.log short;
        location / { return 200 ok; }
    }
}
"""


def test_a_folder_that_workers_may_not_enter():
    limpet = Limpet(CLOSED_FOLDER, workers=1, start=False)
    os.mkdir(limpet.path("closed"), mode=0o700)
    with limpet:
        limpet.start()
        get(limpet.port, "/one")
        assert lines(limpet, "closed/access.log", 1) == ["/one"]
        limpet.reload()
        get(limpet.port, "/two")
        assert lines(limpet, "closed/access.log", 2) == ["/one", "/two"]


EARLY = """
events { }
http {
    log_format early '$uri|$request_completion|$sent_http_x_a|$sent_http_content_type|$body_bytes_sent';
    server {
        listen {port};
        access_log {dir}/early.log early;
        add_header X-A one;
        location / { return 200 ok; }
        location /asked { add_header X-B "$request_completion$sent_http_x_a" always; add_header X-A two; return 200 ok; }
        location /before { set $was "$sent_http_content_type"; return 200 ok; }
    }
}
"""


def test_what_is_asked_for_before_the_end_stays_as_it_was():
    with Limpet(EARLY, workers=1) as limpet:
        for path in ("/", "/asked", "/before"):
            assert get(limpet.port, path).status == 200
        assert lines(limpet, "early.log", 3) == ["/|OK|one|text/plain|2", "/asked||-|text/plain|2", "/before|OK|one|-|2"]


TUNNEL = """
events { }
http {
    log_format complete '$status $request_completion';
    server {
        listen {port};
        access_log {dir}/tunnel.log complete;
        location / {
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_pass http://127.0.0.1:{origin};
        }
    }
}
"""


def test_a_tunnel_that_has_ended_is_complete(origins):
    (origin,) = origins("origin")
    with Limpet(TUNNEL, workers=1, origin=origin.port) as limpet, Connection(limpet.port) as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert client.response().status == 101
        client.send("word")
        assert client.stream.read(4) == b"word"
        client.socket.shutdown(socket.SHUT_WR)
        assert client.stream.read() == b""
        assert lines(limpet, "tunnel.log", 1) == ["101 OK"]


FULL = """
events { }
http {
    log_format short '$uri';
    server {
        listen {port};
        root {dir};
        access_log {dir}/$host.log short;
        location / { return 200 ok; }
        location /held { open_log_file_cache max=2; return 200 ok; }
    }
}
"""


def test_a_full_disk_beneath_a_log_with_variables_is_told_of():
    with Limpet(FULL, workers=1) as limpet:
        os.symlink("/dev/full", limpet.path("full.log"))
        for path in ("/", "/held", "/held"):
            assert get(limpet.port, path, host="full").status == 200
        (line,) = limpet.wait_log("write\\(\\) to .*full.log. failed .28: No space left on device. while logging request")
        assert "[alert]" in line
        limpet.forgive()


TO_A_SERVER_THAT_IS_AWAY = """
events { }
http {
    server {
        listen {port};
        location / { access_log syslog:server=localhost:{syslog}; access_log syslog:server=unix:{dir}/syslog; return 200; }
    }
}
"""


def test_a_syslog_server_that_is_away_is_told_of_once_and_is_found_when_it_is_back():
    with Limpet(TO_A_SERVER_THAT_IS_AWAY, workers=1, syslog=free_port()) as limpet:
        for _ in range(4):  # over UDP the next line learns that the one before it was refused
            get(limpet.port)
        (refused,) = limpet.wait_log("send.. failed .111: Connection refused. while logging to syslog, server: .*:")
        (away,) = limpet.wait_log("connect.. failed .2: No such file or directory. while logging to syslog, server: unix:")
        assert "[error]" in refused and "[error]" in away
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
            unix.bind(limpet.path("syslog"))
            os.chmod(limpet.path("syslog"), 0o666)
            unix.settimeout(10)
            get(limpet.port)
            assert b"limpet: 127.0.0.1" in unix.recv(2000)


ONE_FILE = """
events { }
http {
    server {
        listen {port};
        location / { access_log {dir}/one.gz combined; return 200; }
        location /packed { access_log {dir}/one.gz combined gzip flush=1h; return 200; }
    }
}
"""


def test_a_buffer_belongs_to_its_file():
    with Limpet(ONE_FILE, workers=1) as limpet:
        for path in ("/1", "/packed/2", "/3"):
            get(limpet.port, path)
        assert limpet.end() == 0
        with gzip.open(limpet.path("one.gz"), "rt") as text:
            assert re.findall(r'"GET (\S+) ', text.read()) == ["/1", "/packed/2", "/3"]


SLOW_HEADS = """
events { }
http {
    log_format slow '$request $status $request_time';
    access_log {dir}/slow.log slow;
    client_header_timeout 300ms;
    server {
        listen {port};
        location / { return 200; }
        location /rate { limit_rate $arg_rate; return 200 ok; }
    }
}
"""


def test_the_time_of_a_request_begins_with_its_first_byte():
    with Limpet(SLOW_HEADS, workers=1) as limpet, Connection(limpet.port) as late:
        late.send("GET /late HTTP/1.1\r\n")
        assert late.stream.read() == b""
        (line,) = lines(limpet, "slow.log", 1)
        request, seconds = line.rsplit(" ", 1)
        assert request == "GET /late HTTP/1.1 408"
        assert 0.3 <= float(seconds) < 60


def test_over_http2_it_begins_with_the_first_frame():
    config = SLOW_HEADS.replace("client_header_timeout 300ms", "http2 on")
    with Limpet(config, workers=1, log_level="debug") as limpet, Http2(limpet.port) as client:
        block = client.encoder.encode([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")])
        client.frame(HeadersFrame(1, block[:3], flags=["END_STREAM"]))
        limpet.wait_log("http2 connection: reading head")
        time.sleep(0.2)
        client.frame(ContinuationFrame(1, block[3:], flags=["END_HEADERS"]))
        (line,) = lines(limpet, "slow.log", 1)
        request, seconds = line.rsplit(" ", 1)
        assert request == "GET / HTTP/2.0 200"
        assert 0.2 <= float(seconds) < 60


def test_a_rate_that_is_no_size_is_told_of():
    with Limpet(SLOW_HEADS, workers=1) as limpet:
        for rate in ("", "1k", "fast"):
            assert get(limpet.port, f"/rate?rate={rate}").body == b"ok"
        (line,) = limpet.wait_log("invalid size")
        assert '[error]' in line and 'invalid size "fast"' in line
