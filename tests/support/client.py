"""A client that sends what it is told, byte for byte, and reads responses strictly."""
import socket
from dataclasses import dataclass

from waiting import PATIENCE


@dataclass
class Response:
    status: int
    reason: str
    headers: list
    body: bytes

    def header(self, name, default=None):
        return next((value for key, value in self.headers if key.lower() == name.lower()), default)

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self):
        return self.body.decode()

    def cookie(self, name):
        """The value that a Set-Cookie gives, or None."""
        for line in self.all("set-cookie"):
            if line.startswith(name + "="):
                return line[len(name) + 1:].split(";")[0]
        return None


class Stream:
    """A socket and what is read from it; closed at the end of `with`."""

    def __init__(self, connected):
        self.socket = connected
        self.stream = connected.makefile("rb")

    def close(self):
        self.stream.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Connection(Stream):
    """One connection; several requests may follow each other on it."""

    def __init__(self, port, address="127.0.0.1"):
        super().__init__(socket.create_connection((address, port), timeout=PATIENCE))

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def request(self, path="/", method="GET", headers=(), body=b"", host="localhost"):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return self.response(method)

    def response(self, method="GET"):
        line = self.stream.readline().decode("latin-1")
        if not line:
            raise ConnectionResetError("closed before a response")
        _, status, *reason = line.rstrip("\r\n").split(" ", 2)
        headers = []
        while (line := self.stream.readline().decode("latin-1").rstrip("\r\n")):
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))
        response = Response(int(status), reason[0] if reason else "", headers, b"")
        response.body = self._body(response, method)
        return response

    def _body(self, response, method):
        if method == "HEAD" or response.status in (204, 304) or response.status < 200:
            return b""
        if response.header("transfer-encoding", "").lower() == "chunked":
            body = b""
            while (size := int(self.stream.readline().split(b";")[0], 16)):
                body += self._exactly(size)
                assert self.stream.readline() == b"\r\n"
            while self.stream.readline().strip():
                pass
            return body
        length = response.header("content-length")
        return self.stream.read() if length is None else self._exactly(int(length))

    def _exactly(self, size):
        data = self.stream.read(size)
        if len(data) != size:
            raise ConnectionResetError(f"{len(data)} of {size} bytes")
        return data


def get(port, path="/", headers=(), cookies=None, method="GET", body=b"", host="localhost", address="127.0.0.1"):
    """One request on a connection of its own, so that any worker may take it."""
    headers = [*headers, ("Connection", "close")]
    if cookies:
        headers.append(("Cookie", "; ".join(f"{name}={value}" for name, value in cookies.items())))
    with Connection(port, address) as connection:
        return connection.request(path, method, headers, body, host)
