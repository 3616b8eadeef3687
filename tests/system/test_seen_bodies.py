"""What a variable has seen of a body stays what it was, whoever has the memory of that body later."""
import threading

from client import Connection
from daemon import Limpet
from origin import Origin
from waiting import PATIENCE

CONFIG = """
events { }
http {
    map $request_body $seen { "~^.{300}(?<part>.{100})" $part; }
    server {
        listen {port};
        location / {
            proxy_pass http://127.0.0.1:{origin};
            proxy_http_version 1.1;
            proxy_request_buffering off;
            add_header X-Seen $seen;
            add_trailer X-Seen $seen;
        }
        location /other { return 204; }
    }
}
"""
FIRST, REST = b"A" * 1000, b"B" * 59000


class Answering(Origin):
    """Answers when the first part of the body has come; ends its answer when it is told to."""

    def __init__(self):
        self.has_all, self.told = threading.Event(), threading.Event()
        super().__init__("answering")

    def _exchange(self, connection, stream):
        while stream.readline().strip():
            pass
        assert stream.read(len(FIRST)) == FIRST
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")
        assert stream.read(len(REST)) == REST
        self.has_all.set()
        assert self.told.wait(PATIENCE)
        connection.sendall(b"0\r\n\r\n")
        return False


def lines(stream):
    return [line.decode().strip() for line in iter(stream.readline, b"\r\n")]


def test_a_body_that_is_passed_on():
    with Answering() as origin, Limpet(CONFIG, workers=1, origin=origin.port) as limpet, Connection(limpet.port) as client:
        client.send(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(FIRST + REST)}\r\n\r\n")
        client.send(FIRST)
        assert "X-Seen: " + "A" * 100 in lines(client.stream)
        client.send(REST)
        assert origin.has_all.wait(PATIENCE)
        others = [Connection(limpet.port) for _ in range(20)]
        for other in others:
            assert other.request("/other", headers=[("Cookie", "C" * 3000)]).status == 204
        origin.told.set()
        assert client.stream.readline() + client.stream.readline() == b"4\r\npart\r\n"
        assert lines(client.stream) == ["0", "X-Seen: " + "A" * 100]
