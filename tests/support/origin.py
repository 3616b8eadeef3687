"""Backends of the tests' own: threads that speak just enough HTTP/1.1, say exactly what they are told, and remember."""
import base64
import hashlib
import socket
import threading
import time
from dataclasses import dataclass, field

from ports import free_port

_WEBSOCKET_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Request:
    method: str
    target: str
    version: str
    headers: list
    body: bytes = b""

    def header(self, name, default=None):
        return next((value for key, value in self.headers if key.lower() == name.lower()), default)


@dataclass
class Reply:
    """What to answer. `chunks` are sent as a chunked body.

    `raw` replaces everything else: bytes, or a generator of bytes, which may wait between two of them.
    """
    body: bytes = b""
    status: str = "200 OK"
    headers: list = field(default_factory=list)
    chunks: list = None
    raw: bytes = None
    delay: float = 0
    close: bool = False


class Origin:
    """One server. `respond(request)` gives its Reply; by default the body is the origin's name.

    With `X-Answer: early` a request is answered before its body has come: its connection must be closed then.
    """

    def __init__(self, name="origin", respond=None, port=None, address="127.0.0.1", send_buffer=None):
        self.name = name
        self.respond = respond or (lambda request: Reply(self.name.encode()))
        self.address = address
        self.port = port or free_port()
        self.send_buffer = send_buffer  # bytes that the kernel keeps for each connection; None: as many as it likes
        self.requests = []
        self.connections = 0
        self._lock = threading.Lock()
        self._open = set()
        self._listener = None
        self.start()

    @property
    def hits(self):
        return len(self.requests)

    def start(self):
        self._listener = socket.create_server((self.address, self.port), backlog=1024)
        if self.send_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self):
        """Refuses connections from now on and resets those that are open."""
        listener, self._listener = self._listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with connection:
                stream = connection.makefile("rb")
                while self._exchange(connection, stream):
                    pass
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.discard(connection)

    def _exchange(self, connection, stream):
        request = _read_request(stream)
        if request is None:
            return False
        with self._lock:
            self.requests.append(request)
        if (request.header("upgrade") or "").lower() == "websocket":
            return self.tunnel(connection, stream, request)
        reply = self.respond(request)
        if reply.delay:
            time.sleep(reply.delay)
        for piece in [_render(reply, request)] if reply.raw is None or isinstance(reply.raw, bytes) else reply.raw:
            connection.sendall(piece)
        return not reply.close and request.version == "HTTP/1.1" and (
            request.header("connection", "").lower() != "close")

    def tunnel(self, connection, stream, request):
        """After 101: whatever comes goes back, bytes as they are."""
        switch(connection, request)
        while (data := stream.read1(65536)):
            connection.sendall(data)
        return False


def _read_request(stream):
    line = stream.readline()
    if not line.strip():
        return None
    method, target, version = line.decode("latin-1").rstrip("\r\n").split(" ", 2)
    headers = []
    while (line := stream.readline().decode("latin-1").rstrip("\r\n")):
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    request = Request(method, target, version, headers)
    if request.header("x-answer") == "early":
        return request
    if "chunked" in request.header("transfer-encoding", ""):
        while (size := int(stream.readline().split(b";")[0], 16)):
            request.body += stream.read(size)
            stream.readline()
        while stream.readline().strip():
            pass
    else:
        request.body = stream.read(int(request.header("content-length", 0)))
    return request


def _render(reply, request):
    if reply.raw is not None:
        return reply.raw
    lines = [f"HTTP/1.1 {reply.status}", *(f"{name}: {value}" for name, value in reply.headers)]
    if reply.close:
        lines.append("Connection: close")
    if reply.chunks is not None:
        lines.append("Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in reply.chunks) + b"0\r\n\r\n"
    else:
        lines.append(f"Content-Length: {len(reply.body)}")
        body = reply.body
    if request.method == "HEAD":
        body = b""
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def switch(connection, request):
    """Answers a request for a WebSocket with 101."""
    key = request.header("sec-websocket-key", "") + _WEBSOCKET_MAGIC
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    connection.sendall(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        f"Sec-WebSocket-Accept: {accept}\r\n\r\n").encode())
