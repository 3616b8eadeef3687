"""As much of Redis's protocol as tests need to see what stands there, over TCP, TLS or a unix socket."""
import socket
import threading

from client import Stream
from waiting import PATIENCE


class RedisError(Exception):
    """What Redis answers with a minus sign."""


class Redis(Stream):
    """One connection. Words may be str, bytes or numbers; what comes back are bytes, numbers, None and lists."""

    def __init__(self, port=None, path=None, address="127.0.0.1", tls=None, user=None, password=None):
        if path:
            connected = socket.socket(socket.AF_UNIX)
            connected.settimeout(PATIENCE)
            connected.connect(path)
        else:
            connected = socket.create_connection((address, port), timeout=PATIENCE)
        super().__init__(tls.wrap_socket(connected) if tls else connected)
        if password:
            self(*["AUTH", *([user] if user else []), password])

    def __call__(self, *words):
        self.send(*words)
        return self.reply()

    def send(self, *words):
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))

    def reply(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("closed before a reply")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.stream.read(int(rest) + 2)[:-2]
        assert kind == b"*", line
        return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]


class Monitor:
    """Every command that Redis is told, while it is open; without those that a script gives."""

    def __init__(self, client):
        self.lines, self._client = [], client
        assert client("MONITOR") == b"OK"
        client.socket.settimeout(None)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        try:
            while line := self._client.stream.readline():
                if b" lua] " not in line:
                    self.lines.append(line)
        except (OSError, ValueError):
            pass

    def like(self, *words):
        """Those in which all of these stand, as MONITOR writes them."""
        return [line for line in list(self.lines) if all(word in line for word in words)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._client.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._client.close()


def as_monitored(key):
    """A binary key as MONITOR writes it, without the quotes."""
    plain = {ord("\\"): b"\\\\", ord('"'): b'\\"', 10: b"\\n", 13: b"\\r", 9: b"\\t", 7: b"\\a", 8: b"\\b"}
    return b"".join(plain.get(byte) or (bytes([byte]) if 32 <= byte < 127 else b"\\x%02x" % byte) for byte in key)
