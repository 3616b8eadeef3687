"""gzip, charset and sub_filter: what becomes of text on its way to the client."""
import gzip
import os
import zlib

import pytest

from client import Connection, get
from daemon import Limpet
from http2 import Http2
from origin import Origin, Reply

CONFIG = """
events { }
http {
    types { text/html html; text/plain txt; application/javascript js; image/png png; }
    server {
        listen {port};
        http2 on;
        root {dir}/www;
        location / { gzip on; gzip_vary on; gzip_types text/plain; gzip_disable "old browser" msie6; }
        location /any/ { alias {dir}/www/; gzip on; gzip_types *; gzip_min_length 0; gzip_proxied any; }
        location /static/ { alias {dir}/www/; gzip_static on; gzip_vary on; }
        location /always/ { alias {dir}/www/; gzip_static always; }
        location /charset/ { alias {dir}/www/; charset utf-8; error_page 404 /charset/a.txt; }
        location /up/ {
            proxy_pass http://127.0.0.1:{origin};
            charset utf-8;
            sub_filter "http://inner/" "https://$host/";
            sub_filter Needle thread;
            sub_filter_once off;
            sub_filter_types text/css;
        }
        location /un/ { gunzip on; gzip_vary on; proxy_pass http://127.0.0.1:{origin}; }
        location /packed/ { gzip on; gzip_min_length 0; proxy_pass http://127.0.0.1:{origin}; }
        location /ignored/ { charset utf-8; proxy_ignore_headers X-Accel-Charset; proxy_pass http://127.0.0.1:{origin}; }
        location /russian/ { charset KOI8-R; }
        location /untext/ { gunzip on; charset utf-8; proxy_pass http://127.0.0.1:{origin}; }
        location /untyped/ { gzip on; gzip_types *; gzip_min_length 0; charset utf-8; charset_types *; proxy_pass http://127.0.0.1:{origin}; }
        location /unsub/ { gunzip on; sub_filter plain changed; proxy_pass http://127.0.0.1:{origin}; }
        location /subbed/ { alias {dir}/www/; sub_filter a 1; }
        location /asked/ { alias {dir}/www/; sub_filter $arg_from $arg_to; }
        location /once/ { proxy_pass http://127.0.0.1:{origin}; sub_filter a 1; sub_filter b 2; gzip on; gzip_min_length 0; }
    }
}
"""
FILES = {"a.html": "h" * 3000, "a.txt": "t" * 3000, "a.js": "j" * 3000, "tiny.txt": "t", "z.html": "plain" * 100}
GZIP = [("Accept-Encoding", "gzip")]


@pytest.fixture(scope="module")
def limpet():
    with Origin() as origin:
        running = Limpet(CONFIG, workers=1, start=False, origin=origin.port)
        os.mkdir(running.path("www"))
        for name, text in FILES.items():
            with open(running.path("www/" + name), "w") as out:
                out.write(text)
        with open(running.path("www/z.html.gz"), "wb") as out:
            out.write(gzip.compress(b"from the file"))
        with running:
            running.origin = origin
            running.start()
            yield running


# path, request's fields -> whether it is compressed
COMPRESSED = [
    ("/a.html", GZIP, True),
    ("/a.txt", GZIP, True),
    ("/a.js", GZIP, False),
    ("/any/a.js", GZIP, True),
    ("/tiny.txt", GZIP, False),
    ("/any/tiny.txt", GZIP, True),
    ("/a.html", [], False),
    ("/a.html", [("Accept-Encoding", "gzip;q=0")], False),
    ("/a.html", [("Accept-Encoding", "br, gzip;q=0.1")], True),
    ("/a.html", [*GZIP, ("Via", "1.1 x")], False),
    ("/any/a.html", [*GZIP, ("Via", "1.1 x")], True),
    ("/a.html", [*GZIP, ("User-Agent", "some Old Browser")], False),
    ("/a.html", [*GZIP, ("User-Agent", "Mozilla/4.0 (compatible; MSIE 6.0; Windows)")], False),
    ("/a.html", [*GZIP, ("User-Agent", "Mozilla/4.0 (compatible; MSIE 6.0; Windows; SV1)")], True),
]


@pytest.mark.parametrize("path, headers, expected", COMPRESSED)
def test_what_is_compressed(limpet, path, headers, expected):
    with Connection(limpet.port) as connection:
        response = connection.request(path, headers=headers)
        assert (response.header("content-encoding") == "gzip") == expected
        text = gzip.decompress(response.body) if expected else response.body
        assert text.decode() == FILES[path.rpartition("/")[2]]
        if expected:
            assert response.header("etag").startswith("W/") and response.header("accept-ranges") is None
        head = connection.request(path, "HEAD", headers)
        assert head.body == b"" and connection.request(path).status == 200
    if path == "/a.html":
        assert response.header("vary") == "Accept-Encoding"


def test_files_compressed_before(limpet):
    with_gzip = get(limpet.port, "/static/z.html", GZIP)
    assert gzip.decompress(with_gzip.body) == b"from the file"
    assert (with_gzip.header("content-encoding"), with_gzip.header("content-type")) == ("gzip", "text/html")
    assert with_gzip.header("vary") == "Accept-Encoding"
    without = get(limpet.port, "/static/z.html")
    assert without.text == FILES["z.html"] and without.header("vary") == "Accept-Encoding"
    assert get(limpet.port, "/static/a.html", GZIP).text == FILES["a.html"]
    assert get(limpet.port, "/always/z.html").header("content-encoding") == "gzip"


def test_charset(limpet):
    assert get(limpet.port, "/charset/a.html").header("content-type") == "text/html; charset=utf-8"
    assert get(limpet.port, "/charset/none").header("content-type") == "text/plain; charset=utf-8"
    for said, shown in {"text/html": "text/html; charset=utf-8", "text/html; charset=latin1": "text/html; charset=latin1",
                        "image/png": "image/png", "text/plain; a=b": "text/plain; a=b"}.items():
        limpet.origin.respond = lambda request: Reply(b"x", headers=[("Content-Type", said)])
        assert get(limpet.port, "/up/").header("content-type") == shown


def test_an_upstream_names_the_charset(limpet):
    for said, shown in {"text/html": "text/html; charset=koi8-r", "application/json": "application/json; charset=koi8-r",
                        "text/html; charset=latin1": "text/html; charset=latin1"}.items():
        limpet.origin.respond = lambda request: Reply(b"x", headers=[("Content-Type", said), ("X-Accel-Charset", "koi8-r")])
        response = get(limpet.port, "/up/")
        assert response.header("content-type") == shown and response.header("x-accel-charset") is None
    limpet.origin.respond = lambda request: Reply(b"x", headers=[("Content-Type", "text/html"), ("X-Accel-Charset", "koi8-r")])
    assert get(limpet.port, "/ignored/").header("content-type") == "text/html; charset=utf-8"
    for said in ("text/css", "text/html"):  # `charset` would name one for this
        limpet.origin.respond = lambda request: Reply(b"x", headers=[("Content-Type", said), ("X-Accel-Charset", "Klingon")])
        assert get(limpet.port, "/up/").header("content-type") == said
    limpet.wait_log(r'unknown charset "Klingon" to override')
    headers = [("Content-Type", "text/html"), ("Location", "/a"), ("X-Accel-Charset", "koi8-r")]
    limpet.origin.respond = lambda request: Reply(b"x", "302 Found", headers)
    assert get(limpet.port, "/up/").header("content-type") == "text/html"  # nobody reads that text


@pytest.mark.parametrize("target, status", [("/charset/a.html", 200), ("/charset/none", 404), ("/any/none", 404)])
def test_an_upstream_names_the_charset_of_what_is_sent_in_its_place(limpet, target, status):
    limpet.origin.respond = lambda request: Reply(headers=[("X-Accel-Redirect", target), ("X-Accel-Charset", "koi8-r")])
    response = get(limpet.port, "/up/")
    assert (response.status, response.header("content-type").partition("; ")[2]) == (status, "charset=koi8-r")


TEXT = b"<a href='HTTP://inner/x'>needle NEEDLE needl</a> http://inner/ http://inne nnneedle"
CHANGED = "<a href='https://localhost/x'>thread thread needl</a> https://localhost/ http://inne nnthread"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
@pytest.mark.parametrize("kind", ["text/html", "text/css; charset=x", "image/png"])
def test_texts_are_found_across_pieces(limpet, kind, size):
    pieces = [TEXT[i:i + size] for i in range(0, len(TEXT), size)]
    limpet.origin.respond = lambda request: Reply(
        chunks=pieces, headers=[("Content-Type", kind), ("ETag", '"x"'), ("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT")])
    response = get(limpet.port, "/up/")
    changes = kind != "image/png"
    assert response.text == (CHANGED if changes else TEXT.decode())
    assert (response.header("etag") is None) == changes and (response.header("last-modified") is None) == changes


def test_where_no_text_is_looked_for_a_file_stays_what_it_is(limpet):
    kept = get(limpet.port, "/asked/a.html", headers=[("Range", "bytes=0-9")])
    assert (kept.status, kept.body) == (206, b"h" * 10)
    assert kept.header("etag") and kept.header("last-modified")
    changed = get(limpet.port, "/asked/a.html?from=hh&to=i", headers=[("Range", "bytes=0-9")])
    assert changed.status == 200 and changed.body == b"i" + b"h" * 2998
    assert not changed.header("etag")


def test_once_and_compressed(limpet):
    limpet.origin.respond = lambda request: Reply(b"aabbab", headers=[("Content-Type", "text/html")])
    assert get(limpet.port, "/once/").text == "1a2bab"
    assert gzip.decompress(get(limpet.port, "/once/", GZIP).body) == b"1a2bab"
    with Connection(limpet.port) as connection:
        assert connection.request("/once/", "HEAD").header("content-length") is None
        assert connection.request("/once/").text == "1a2bab"


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_unpacking(limpet, size):
    text = os.urandom(30000).hex().encode() + b"z" * 200000
    packed = gzip.compress(text[:1000]) + gzip.compress(text[1000:])  # two members are one body
    fields = [("Content-Encoding", "gzip"), ("ETag", '"x"'), ("Accept-Ranges", "bytes")]
    pieces = [packed[i:i + size] for i in range(0, len(packed), size)]
    if size == 1:
        text, pieces = b"short", [bytes([byte]) for byte in gzip.compress(b"short")]
    limpet.origin.respond = lambda request: Reply(chunks=pieces, headers=fields)
    with Connection(limpet.port) as connection:
        response = connection.request("/un/x")
        assert response.body == text and response.header("content-encoding") is None
        assert response.header("etag") == 'W/"x"' and response.header("accept-ranges") is None
        assert response.header("vary") == "Accept-Encoding"
        kept = connection.request("/un/x", headers=GZIP)
        assert kept.body == b"".join(pieces) and kept.header("etag") == '"x"'


@pytest.mark.parametrize("name", ["gzip", "GZip"])
def test_unpacked_text_has_a_charset(limpet, name):
    fields = [("Content-Encoding", name), ("Content-Type", "text/html")]
    limpet.origin.respond = lambda request: Reply(gzip.compress(b"text"), headers=fields)
    unpacked = get(limpet.port, "/untext/")
    assert (unpacked.text, unpacked.header("content-type")) == ("text", "text/html; charset=utf-8")
    assert get(limpet.port, "/untext/", GZIP).header("content-type") == "text/html; charset=utf-8"


def test_all_types_are_also_none(limpet):
    limpet.origin.respond = lambda request: Reply(b"text")
    response = get(limpet.port, "/untyped/", GZIP)
    assert gzip.decompress(response.body) == b"text"
    assert response.header("content-type") is None


def test_unpacked_text_is_changed_and_broken_text_breaks_off(limpet):
    packed = gzip.compress(b"plain text" * 1000)
    fields = [("Content-Encoding", "gzip"), ("Content-Type", "text/html")]
    limpet.origin.respond = lambda request: Reply(packed, headers=fields)
    assert get(limpet.port, "/unsub/").text == "changed text" + "plain text" * 999
    with Connection(limpet.port) as connection:
        head = connection.request("/un/", "HEAD")
        assert head.header("content-length") is None and head.header("content-encoding") is None
    for broken in (packed[:-5], packed[:20] + b"junk" * 5, b"no gzip at all"):
        limpet.origin.respond = lambda request: Reply(broken, headers=fields)
        with Connection(limpet.port) as connection, pytest.raises((ConnectionResetError, ValueError)):
            connection.request("/un/")
    limpet.wait_log("inflate\\(\\)", 3)


def test_what_came_before_a_break_is_passed_on(limpet):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9000\r\n\r\n"
    limpet.origin.respond = lambda request: Reply(raw=head + b"text" * 100, close=True)
    with Connection(limpet.port) as connection:
        connection.send("GET /packed/ HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        head, _, rest = connection.stream.read().partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head and not rest.endswith(b"0\r\n\r\n")
    unpack, text = zlib.decompressobj(wbits=31), b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        text += unpack.decompress(rest[:int(size, 16)])
        rest = rest[int(size, 16) + 2:]
    assert text == b"text" * 100 and not unpack.eof


def make_long_file(limpet):
    with open(limpet.path("www/cut.html"), "wb") as file:
        file.write(os.urandom(16 << 20))  # more than waits in sockets


@pytest.mark.parametrize("path, headers", [("/any/cut.html", GZIP), ("/subbed/cut.html", []), ("/cut.html", [])])
def test_a_file_that_is_cut_while_it_is_sent_does_not_look_whole(limpet, path, headers):
    make_long_file(limpet)
    told = len(limpet.log_lines("has been cut"))
    with Connection(limpet.port) as connection:
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
        connection.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())
        assert connection.stream.peek(1)
        os.truncate(limpet.path("www/cut.html"), 0)
        with pytest.raises((ConnectionResetError, ValueError)):
            connection.response()
    limpet.wait_log("has been cut", told + 1)


def test_a_file_that_is_cut_while_it_is_sent_over_http2(limpet):
    make_long_file(limpet)
    with Http2(limpet.port, reads=False) as client:
        stream = client.ask("/cut.html")
        client.until(lambda: client.streams[stream].body)
        os.truncate(limpet.path("www/cut.html"), 0)
        for of in (0, stream):
            client.open_window(of, 16 << 20)
        client.wait_end()
        assert not client.streams[stream].ended
    limpet.wait_log("a file has been cut while it was sent over HTTP/2, client: 127")
