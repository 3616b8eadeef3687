"""worker_connections: what is counted, and which connection gives way when all places are taken."""
import socket
import ssl
import time

from certificates import Authority
from client import Connection, get
from daemon import Limpet
from gate import Gate
from ports import free_port
from waiting import PATIENCE, wait_until

CONFIG = """
events { worker_connections {places}; }
http {
    upstream kept { server 127.0.0.1:{origin}; keepalive 4; }
    server {
        listen {port};
        listen {proxied} proxy_protocol;
        location / { return 200 ok; }
        location /up/ { proxy_pass http://127.0.0.1:{origin}; }
        location /kept/ { proxy_pass http://kept; }
    }
}
"""
TLS = """
events { worker_connections {places}; }
http {
    server {
        listen {port} ssl;
        ssl_certificate {certs}/any.test.crt;
        ssl_certificate_key {certs}/any.test.key;
        return 200 ok;
    }
}
"""
REUSED = r"\[warn\].* worker_connections are not enough, reusing connections"


def start(places, origin=1):
    return Limpet(CONFIG, workers=1, places=places, proxied=free_port(), origin=origin)


def silent(port, count):
    return [socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) for _ in range(count)]


def is_closed(client):
    """Without waiting: whether the other side has ended it."""
    client.setblocking(False)
    try:
        return client.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    finally:
        client.settimeout(PATIENCE)


def wait_closed(clients, count):
    """Waits until so many are closed; which they are."""
    wait_until(lambda: sum(map(is_closed, clients)) >= count, f"the end of {count} connections")
    return [i for i, client in enumerate(clients) if is_closed(client)]


def close(clients):
    for client in clients:
        client.close()


def test_new_clients_are_served_under_a_flood_of_idle_connections():
    """The newest connection is the client that is about to ask: the flood takes the place of the flood."""
    with start(places=20) as limpet:
        flood, began = [], time.monotonic()
        for _ in range(40):
            with Connection(limpet.port) as client:
                flood += silent(limpet.port, 15)
                assert client.request().text == "ok"
        seconds = time.monotonic() - began
        assert 1 <= len(limpet.log_lines(REUSED)) <= seconds + 2, "said, but not for each"
        close(flood)


def test_the_connection_that_has_been_idle_longest_gives_way():
    with start(places=4) as limpet:
        clients = [Connection(limpet.port) for _ in range(4)]
        for client in [*clients, clients[0]]:
            client.request()
        late = Connection(limpet.port)
        assert wait_closed([client.socket for client in clients], 1) == [1]
        for client in [late, clients[0], clients[2], clients[3]]:
            assert client.request().text == "ok"
        close([late, *clients])


def test_a_busy_connection_does_not_give_way(origins):
    gate = Gate()
    (origin,) = origins("origin", respond=gate)
    with start(places=4, origin=origin.port) as limpet:
        with Connection(limpet.port) as busy:
            busy.send("GET /up/ HTTP/1.1\r\nHost: x\r\n\r\n")
            assert gate.waiting.acquire(timeout=PATIENCE)
            flood = silent(limpet.port, 30)
            wait_closed(flood, 28)
            gate.opened.set()
            assert busy.response().text == "late"
            close(flood)


def test_connections_that_wait_for_their_proxy_header_are_counted_and_give_way():
    with start(places=16) as limpet:
        flood = silent(limpet.values["proxied"], 100)
        gone = wait_closed(flood, 84)
        assert gone == list(range(84))
        with Connection(limpet.values["proxied"]) as client:
            client.send("PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n")
            more = silent(limpet.values["proxied"], 10)
            assert client.request().text == "ok"
        assert get(limpet.port).text == "ok"
        close(flood + more)


def test_tls_handshakes_are_counted_and_give_way(tmp_path):
    Authority(tmp_path).issue("any.test")
    with Limpet(TLS, workers=1, places=16, certs=tmp_path) as limpet:
        flood = silent(limpet.port, 100)
        wait_closed(flood, 84)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(socket.create_connection(("127.0.0.1", limpet.port), timeout=PATIENCE)) as client:
            flood += silent(limpet.port, 10)
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.makefile("rb").read().endswith(b"ok")
        close(flood)


def test_connections_to_upstreams_are_counted(origins):
    gate = Gate()
    (origin,) = origins("origin", respond=gate)
    with start(places=3, origin=origin.port) as limpet:
        with Connection(limpet.port) as busy, Connection(limpet.port) as other:
            busy.send("GET /up/ HTTP/1.1\r\nHost: x\r\n\r\n")
            assert gate.waiting.acquire(timeout=PATIENCE)
            assert other.request("/up/").status == 500
            limpet.wait_log(r"\[alert\].*: \*\d+ 3 worker_connections are not enough while connecting to upstream, client")
            assert origin.hits == 1
            third = Connection(limpet.port)
            third.send("GET")  # half a head is not idle: nobody can give way
            wait_closed(silent(limpet.port, 1), 1)
            third.close()
            limpet.wait_log(r"\[alert\].*: 3 worker_connections are not enough$")
            gate.opened.set()
            assert busy.response().text == "late"


def test_kept_connections_to_upstreams_give_way(origins):
    (origin,) = origins("origin")
    with start(places=4, origin=origin.port) as limpet:
        clients = [Connection(limpet.port)]
        assert clients[0].request("/kept/").text == "origin"
        clients += [Connection(limpet.port) for _ in range(3)]
        for client in clients:  # the kept one was idle longest
            assert client.request().text == "ok"
        assert limpet.log_lines(REUSED)
        close(clients)
