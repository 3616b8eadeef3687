"""A backend that takes each request apart by the strictest reading and keeps it; what it cannot read so, it keeps apart."""
import re
from dataclasses import dataclass

from listener import Listener

_REQUEST_LINE = re.compile(rb"[A-Z][A-Z0-9_-]* [\x21-\x7e\x80-\xff]+ HTTP/1\.[01]")
_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[^\x00-\x08\x0a-\x1f\x7f]*")
_FRAMING = (b"content-length", b"transfer-encoding")


class Loose(Exception):
    """Something that another server could read in another way."""


@dataclass
class Message:
    lines: list  # of the head, without line ends
    body: bytes
    whole: bool  # False: the connection ended within the body


class Recorder(Listener):
    """`messages` that came; `loose` says what was not strict, and nothing may be there."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    def __init__(self, answer=ANSWER):
        self.answer = answer
        self.messages, self.loose = [], []
        super().__init__()

    def clear(self):
        self.messages, self.loose = [], []

    def _serve(self, connection):
        with connection.makefile("rb") as stream:
            try:
                while (message := read_strictly(stream)) is not None:
                    self.messages.append(message)
                    head, end, body = self.answer.partition(b"\r\n\r\n")
                    connection.sendall(head + end + (b"" if message.lines[0].startswith(b"HEAD ") else body))
                    self._wait(stream)
            except Loose as error:
                self.loose.append(str(error))

    def _wait(self, stream):
        """For the next message, or the end: idle as long."""
        self._count(-1)
        try:
            stream.peek(1)
        finally:
            self._count(1)


def read_strictly(stream):
    """The next message, None at the end. A head that breaks off is nobody's request."""
    lines = []
    while (line := stream.readline()) != b"\r\n":
        if not line.endswith(b"\n"):
            return None
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise Loose(f"line end {line!r}")
        lines.append(line[:-2])
    if not lines or not _REQUEST_LINE.fullmatch(lines[0]):
        raise Loose(f"request line {lines[:1]!r}")
    for line in lines[1:]:
        if not _FIELD.fullmatch(line):
            raise Loose(f"field {line!r}")
    return Message(lines, *_body(stream, _framing(lines[1:])))


def _framing(lines):
    fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    framing = [field for field in fields if field[0] in _FRAMING]
    if len(framing) > 1:
        raise Loose(f"two lengths {framing!r}")
    if sum(name == b"host" for name, _ in fields) != 1:
        raise Loose(f"not one Host {fields!r}")
    return framing


def _body(stream, framing):
    """The body, and whether it came to its end."""
    if not framing:
        return b"", True
    name, value = framing[0]
    if name == b"transfer-encoding":
        if value != b"chunked":
            raise Loose(f"coding {value!r}")
        return _chunks(stream)
    if not value.isdigit():
        raise Loose(f"length {value!r}")
    body = stream.read(int(value))
    return body, len(body) == int(value)


def _chunks(stream):
    body = b""
    while (size := int(_line(stream, rb"([0-9a-f]+)\r\n", "0"), 16)) > 0:
        body += stream.read(size)
        if _line(stream, rb"(\r\n)", None) is None:
            return body, False
    return body, _line(stream, rb"(\r\n)", None) is not None  # no trailers: nobody asked for them


def _line(stream, pattern, at_end):
    """What the pattern finds in the next line; `at_end` where the connection has ended."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return at_end
    found = re.fullmatch(pattern, line)
    if not found:
        raise Loose(f"line of chunks {line!r}")
    return found[1]
