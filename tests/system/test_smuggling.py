"""Requests that two servers could read in two ways (RFC 9112 2.2, 3.2, 5, 6, 7), as a backend sees them that records every byte.

Each is refused, and then the backend hears nothing, or it is passed on in one form that has one meaning.
"""
import re

import pytest

from client import Connection
from daemon import Limpet
from recorder import Recorder

CONFIG = """
events { }
http {
    server {
        listen {port};
        proxy_set_header Host $host;
        proxy_set_header X-Path $uri;
        location / { proxy_pass http://127.0.0.1:{backend}; }
        location /streamed { proxy_pass http://127.0.0.1:{backend}; proxy_request_buffering off; }
    }
}
"""
INNER = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def request(*fields, method=b"POST", body=b""):
    return method + b" PATH HTTP/1.1\r\nHost: x\r\n" + b"".join(fields) + b"\r\n" + body


def chunked(body):
    return request(CHUNKED, body=body)


REFUSED = {
    # 2.2: line ends and white space
    "bare CR in the request line": (b"GET PATH\rX HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "bare CR for a line end": (b"GET PATH HTTP/1.1\rHost: x\r\n\r\n", 400),
    "bare CR in a value": (request(b"X: a\rContent-Length: 5\r\n", body=b"12345"), 400),
    "bare CR before the empty line": (b"GET PATH HTTP/1.1\r\nHost: x\r\n\rX: y\r\n\r\n", 400),
    "white space before the first field": (b"POST PATH HTTP/1.1\r\n Content-Length: 5\r\nHost: x\r\n\r\n", 400),
    "NUL in a value": (request(b"X: a\0b\r\n"), 400),
    "NUL in a name": (request(b"X\0Y: b\r\n"), 400),
    # 3: the request line
    "a space in the target": (b"GET PATH x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a tab for a space": (b"GET\tPATH HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a control character in the target": (b"GET PATH\x0b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a version with two digits": (b"GET PATH HTTP/1.10 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a version in lower case": (b"GET PATH http/1.1\r\nHost: x\r\n\r\n", 400),
    # 3.2: Host
    "no Host": (b"GET PATH HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (request(b"Host: y\r\n"), 400),
    "the same Host twice": (request(b"Host: x\r\n"), 400),
    "a second Host in other letters": (request(b"hOsT: y\r\n"), 400),
    "a Host with a path": (b"GET PATH HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
    "a Host with a control character": (b"GET PATH HTTP/1.1\r\nHost: x\x01\r\n\r\n", 400),
    "an empty Host": (b"GET PATH HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "an authority with a user": (b"GET http://a@x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    # 5: fields
    "white space before the colon": (request(b"Content-Length : 5\r\n", body=b"12345"), 400),
    "a tab before the colon": (request(b"Transfer-Encoding\t: chunked\r\n", body=b"0\r\n\r\n"), 400),
    "a control character in a name": (request(b"Transfer-Encoding\x0b: chunked\r\n", body=b"0\r\n\r\n"), 400),
    "a name of nothing": (request(b": 5\r\n"), 400),
    "a line without a colon": (request(b"Content-Length 5\r\n"), 400),
    "a folded line": (request(b"X: a\r\n b\r\n"), 400),
    "a folded line by a tab": (request(b"X: a\r\n\tContent-Length: 5\r\n", body=b"12345"), 400),
    "a folded length": (request(b"Content-Length:\r\n 5\r\n", body=b"12345"), 400),
    "a folded coding": (request(b"Transfer-Encoding:\r\n chunked\r\n", body=b"0\r\n\r\n"), 400),
    # 6: the length of the body
    "both lengths": (request(b"Content-Length: 4\r\n", CHUNKED, body=b"0\r\n\r\n" + INNER), 400),
    "both lengths, the other way round": (request(CHUNKED, b"Content-Length: 4\r\n", body=b"0\r\n\r\n" + INNER), 400),
    "two lengths": (request(b"Content-Length: 3\r\nContent-Length: 4\r\n", body=b"abcd"), 400),
    "the same length twice": (request(b"Content-Length: 3\r\nContent-Length: 3\r\n", body=b"abc"), 400),
    "a list of lengths": (request(b"Content-Length: 3, 3\r\n", body=b"abc"), 400),
    "a length with a sign": (request(b"Content-Length: +3\r\n", body=b"abc"), 400),
    "a negative length": (request(b"Content-Length: -3\r\n"), 400),
    "a hexadecimal length": (request(b"Content-Length: 0x3\r\n", body=b"abc"), 400),
    "a length with a space": (request(b"Content-Length: 3 3\r\n", body=b"abc"), 400),
    "a length with a fraction": (request(b"Content-Length: 3.0\r\n", body=b"abc"), 400),
    "an empty length": (request(b"Content-Length:\r\n"), 400),
    "a length beyond 64 bits": (request(b"Content-Length: 18446744073709551619\r\n", body=b"abc"), 400),
    "a length beyond 63 bits": (request(b"Content-Length: 9223372036854775808\r\n", body=b"abc"), 400),
    "a length with a vertical tab": (request(b"Content-Length: \x0b3\r\n", body=b"abc"), 400),
    "an unknown coding": (request(b"Transfer-Encoding: xchunked\r\n", body=b"0\r\n\r\n"), 501),
    "chunked before another coding": (request(b"Transfer-Encoding: chunked, identity\r\n", body=b"0\r\n\r\n"), 501),
    "identity before chunked": (request(b"Transfer-Encoding: identity, chunked\r\n", body=b"0\r\n\r\n"), 501),
    "chunked twice": (request(b"Transfer-Encoding: chunked, chunked\r\n", body=b"0\r\n\r\n"), 501),
    "chunked with a parameter": (request(b"Transfer-Encoding: chunked;q=1\r\n", body=b"0\r\n\r\n"), 501),
    "chunked in quotes": (request(b'Transfer-Encoding: "chunked"\r\n', body=b"0\r\n\r\n"), 501),
    "two codings": (request(CHUNKED, b"Transfer-Encoding: identity\r\n", body=b"0\r\n\r\n"), 400),
    "the same coding twice": (request(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), 400),
    "an empty coding": (request(b"Transfer-Encoding:\r\n"), 501),
    "chunked under HTTP/1.0": (b"POST PATH HTTP/1.0\r\nHost: x\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 400),
    # 7.1: chunks
    "a chunk size with 0x": (chunked(b"0x3\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk size with a sign": (chunked(b"+3\r\nabc\r\n0\r\n\r\n"), 400),
    "a negative chunk size": (chunked(b"-3\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk size after a space": (chunked(b" 3\r\nabc\r\n0\r\n\r\n"), 400),
    "no chunk size": (chunked(b"\r\nabc\r\n0\r\n\r\n"), 400),
    "an extension without a size": (chunked(b";x=y\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk size beyond 64 bits": (chunked(b"10000000000000003\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk size beyond 63 bits": (chunked(b"8000000000000000\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk that is longer": (chunked(b"3\r\nabcd\r\n0\r\n\r\n"), 400),
    "a chunk that is shorter": (chunked(b"4\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk size that ends in CR": (chunked(b"3\rabc\r\n0\r\n\r\n"), 400),
    "a chunk size that ends in CR CR LF": (chunked(b"3\r\r\nabc\r\n0\r\n\r\n"), 400),
    "a chunk that ends in CR": (chunked(b"3\r\nabc\r0\r\n\r\n"), 400),
    "an extension with a bare CR": (chunked(b"3;a\rb\r\nabc\r\n0\r\n\r\n"), 400),
    "an extension with NUL": (chunked(b"3;a\0b\r\nabc\r\n0\r\n\r\n"), 400),
    "a trailer without a colon": (chunked(b"3\r\nabc\r\n0\r\nContent-Length 5\r\n\r\n"), 400),
    "a trailer that is folded": (chunked(b"3\r\nabc\r\n0\r\nX: a\r\n b\r\n\r\n"), 400),
    "both lengths for trailers": (chunked(b"3\r\nabc\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), 400),
    "a trailer with a bare CR": (chunked(b"3\r\nabc\r\n0\r\nX: a\rb\r\n\r\n"), 400),
    "a trailer with white space before its colon": (chunked(b"3\r\nabc\r\n0\r\nX : a\r\n\r\n"), 400),
}

# What goes on: the fields behind Host and X-Path, without those of framing; the body.
PASSED = {
    "line ends without CR": (b"POST PATH HTTP/1.1\nHost: x\nA: b\nContent-Length: 3\n\nabc", [b"A: b"], b"abc"),
    "empty lines before it": (b"\r\n\r\n" + request(b"Content-Length: 3\r\n", body=b"abc"), [], b"abc"),
    "white space around a value": (request(b"A: \t b \t\r\nContent-Length: \t3 \r\n", body=b"abc"), [b"A: b"], b"abc"),
    "no white space before a value": (request(b"A:b\r\nContent-Length:3\r\n", body=b"abc"), [b"A: b"], b"abc"),
    "a length with zeros": (request(b"Content-Length: 0003\r\n", body=b"abc"), [], b"abc"),
    "a length of nothing": (request(b"Content-Length: 0\r\n"), [], b""),
    "no length": (request(), [], b""),
    "a body of GET": (request(b"Content-Length: %d\r\n" % len(INNER), method=b"GET", body=INNER), [], INNER),
    "the coding in other letters": (request(b"tRANSFER-eNCODING: CHUNKED\r\n", body=b"3\r\nabc\r\n0\r\n\r\n"), [], b"abc"),
    "a length that is not the name": (request(b"Content_Length: 5\r\n"), [], b""),
    "a coding that is not the name": (request(b"Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", body=b"0\r\n\r\n"),
                                      [], b"0\r\n\r\n"),
    "fields of this hop": (request(b"Connection: X-Hop, Content-Length\r\nTE: trailers\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\n"
                                   b"Proxy-Connection: close\r\nContent-Length: 3\r\n", body=b"abc"), [], b"abc"),
    "another request for a body": (request(b"Content-Length: %d\r\n" % len(INNER), body=INNER), [], INNER),
    "chunks": (chunked(b"3\r\nabc\r\n002\r\nde\r\n0\r\n\r\n"), [], b"abcde"),
    "chunk sizes in capitals": (chunked(b"A\r\n0123456789\r\n0\r\n\r\n"), [], b"0123456789"),
    "many zeros before a chunk size": (chunked(b"0000000000000003\r\nabc\r\n000\r\n\r\n"), [], b"abc"),
    "extensions": (chunked(b"3 ;a = b;c=\"d e\";f\r\nabc\r\n0;x\r\n\r\n"), [], b"abc"),
    "another request in chunks": (chunked(b"%x\r\n" % len(INNER) + INNER + b"\r\n0\r\n\r\n"), [], INNER),
    "trailers": (chunked(b"3\r\nabc\r\n0\r\nX-Trailer: y\r\n\r\n"), [], b"abc"),
    "a length for a trailer": (chunked(b"3\r\nabc\r\n0\r\nContent-Length: 50\r\n\r\n"), [], b"abc"),
    "a coding for a trailer": (chunked(b"3\r\nabc\r\n0\r\nTransfer-Encoding: identity\r\n\r\n"), [], b"abc"),
    "routing for trailers": (chunked(b"3\r\nabc\r\n0\r\nHost: y\r\nAuthorization: z\r\n\r\n"), [], b"abc"),
    "an absolute target": (b"POST http://x:80PATH HTTP/1.1\r\nHost: y\r\nContent-Length: 3\r\n\r\nabc", [], b"abc"),
    "a value above ASCII": (request(b"A: \xc3\xa4\r\nContent-Length: 3\r\n", body=b"abc"), [b"A: \xc3\xa4"], b"abc"),
}


@pytest.fixture(scope="module")
def limpet():
    recorder = Recorder()
    with Limpet(CONFIG, workers=1, backend=recorder.port) as running:
        running.recorder = recorder
        yield running
    recorder.stop()


@pytest.fixture(params=["/p", "/streamed"])
def path(request):
    return request.param.encode()


@pytest.mark.parametrize("name", REFUSED)
def test_refused(limpet, path, name):
    data, status = REFUSED[name]
    limpet.recorder.clear()
    with Connection(limpet.port) as connection:
        connection.send(data.replace(b"PATH", path) + INNER)
        assert connection.response().status == status
        assert connection.stream.read() == b""  # closed: what follows is nobody's request
    streamed = path == b"/streamed" and CHUNKED in data and b"\r\n\r\n" in data
    if not streamed:  # there the head is on its way before a chunk can be seen to be bad
        assert limpet.recorder.messages == []
    assert not any(b"smuggled" in message.lines[0] for message in limpet.recorder.messages)


@pytest.mark.parametrize("name", PASSED)
def test_passed_on(limpet, path, name):
    data, fields, body = PASSED[name]
    limpet.recorder.clear()
    with Connection(limpet.port) as connection:
        connection.send(data.replace(b"PATH", path))
        response = connection.response()
        assert (response.status, response.text) == (200, "ok")
        connection.send(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")  # the connection is where it should be
        assert connection.response().status == 200
    assert not limpet.recorder.loose
    message, following = limpet.recorder.messages
    assert following.lines[0] == b"GET /next HTTP/1.1"
    head = message.lines
    assert head[0].split(b" ")[1] == path
    assert message.body == body
    framing = re.compile(rb"(?i)(content-length|transfer-encoding): ")
    assert [line for line in head[1:] if not framing.match(line)] == [b"Host: x", b"X-Path: " + path, *fields]
