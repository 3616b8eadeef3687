"""Streams that are not buffered: each word reaches its client as it comes, whatever filters it passes through."""
import threading
import zlib

import pytest

from client import Connection
from daemon import Limpet
from origin import Origin
from waiting import PATIENCE

FILTERS = {
    "plain": "",
    "gzip": "gzip on;",
    "gunzip": "gunzip on;",
    "sub_filter": "sub_filter none some;",
    "charset": "charset utf-8;",
    "sub_filter and gzip": "sub_filter none some; gzip on;",
    "gunzip and sub_filter": "gunzip on; sub_filter none some;",
}
WAYS = {"directive": "proxy_buffering off;", "header": ""}
FRAMINGS = ["chunked", "length", "close"]
CONFIG = """
events { }
http {
    gzip_types text/event-stream;
    gzip_min_length 1;
    gzip_http_version 1.0;
    sub_filter_types text/event-stream;
    charset_types text/event-stream;
    server {
        listen {port};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        {locations}
    }
}
"""
WORDS = [f"data: word {i}\n\n".encode() for i in range(4)]


class Speaker(Origin):
    """Says one word after the other, each when it is told to."""

    def __init__(self):
        self.told = threading.Semaphore(0)
        super().__init__("speaker")

    def _exchange(self, connection, stream):
        path = stream.readline().decode().split(" ")[1]
        told = self.told
        while stream.readline().strip():
            pass
        way, name, framing = path[1:].replace("%20", " ").split("/")
        pack = zlib.compressobj(wbits=31) if "gunzip" in name else None
        pieces = [pack.compress(word) + pack.flush(zlib.Z_SYNC_FLUSH) if pack else word for word in WORDS]
        end = pack.flush() if pack else b""
        head = ["HTTP/1.1 200 OK", "Content-Type: text/event-stream"]
        head += ["X-Accel-Buffering: no"] * (way == "header") + ["Content-Encoding: gzip"] * bool(pack)
        head += {"chunked": ["Transfer-Encoding: chunked"], "close": ["Connection: close"],
                 "length": [f"Content-Length: {sum(map(len, pieces)) + len(end)}"]}[framing]
        chunk = (lambda data: b"%x\r\n%s\r\n" % (len(data), data) if data else b"") if framing == "chunked" else (lambda data: data)
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        for piece in pieces:
            assert told.acquire(timeout=PATIENCE)
            connection.sendall(chunk(piece))
        assert told.acquire(timeout=PATIENCE)
        connection.sendall(chunk(end) + (b"0\r\n\r\n" if framing == "chunked" else b""))
        return False


@pytest.fixture(scope="module")
def speaker():
    with Speaker() as made:
        yield made


@pytest.fixture(scope="module")
def limpet(speaker):
    locations = "".join(f'location "/{way}/{name}/" {{ {how} {what} proxy_pass http://127.0.0.1:{speaker.port}; }}\n'
                        for way, how in WAYS.items() for name, what in FILTERS.items())
    with Limpet(CONFIG, workers=1, locations=locations) as limpet:
        yield limpet


class Reader:
    """A response's body, as far as it has come: without its framing and unpacked."""

    def __init__(self, connection):
        self.stream = connection.stream
        head = []
        while (line := self.stream.readline().decode().strip()):
            head.append(line.lower())
        assert head[0].startswith("http/1.1 200"), head
        self.chunked = "transfer-encoding: chunked" in head
        self.unpack = zlib.decompressobj(31) if "content-encoding: gzip" in head else None

    def more(self):
        if self.chunked:
            size = int(self.stream.readline(), 16)
            data = self.stream.read(size + 2)[:size]
        else:
            data = self.stream.read1(65536)
        return self.unpack.decompress(data) if self.unpack else data

    def until(self, size):
        data = b""
        while len(data) < size:
            data += self.more()
        return data


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("way", WAYS)
def test_each_word_comes_when_it_is_said(limpet, speaker, way, name, framing, version):
    speaker.told = threading.Semaphore(0)  # the end of the answer before may still be waited for
    accepts = "Accept-Encoding: gzip\r\n" if name.endswith("gzip") else ""
    with Connection(limpet.port) as client:
        client.send(f"GET /{way}/{name.replace(' ', '%20')}/{framing} HTTP/{version}\r\nHost: x\r\nConnection: close\r\n{accepts}\r\n")
        speaker.told.release()
        reader = Reader(client)
        assert (reader.unpack is not None) == bool(accepts)
        for word in WORDS:
            assert reader.until(len(word)) == word
            speaker.told.release()  # the next one, or the end
        assert reader.more() == b""
