"""A backend that takes each message apart by the strictest reading, and keeps it."""
import re
import socket
import threading

from ports import free_port


class Recorder:
    """Takes each message apart by the strictest reading and keeps its bytes; what it cannot read it keeps as it is."""

    LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\x00-\x08\x0a-\x1f\x7f]*")

    def __init__(self):
        self.port = free_port()
        self.messages = []
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            stream = connection.makefile("rb")
            while (message := self._read(stream)) is not None:
                self.messages.append(message)
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                except OSError:
                    return

    def _read(self, stream):
        head = []
        while (line := stream.readline()) not in (b"", b"\r\n"):
            assert line.endswith(b"\r\n") and b"\r" not in line[:-2], line
            head.append(line[:-2])
        if not line:
            return None
        assert re.fullmatch(rb"[A-Z]+ [\x21-\x7e\x80-\xff]+ HTTP/1\.[01]", head[0]), head[0]
        for line in head[1:]:
            assert self.LINE.fullmatch(line), line
        fields = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in head[1:])]
        framing = [field for field in fields if field[0] in (b"content-length", b"transfer-encoding")]
        assert len(framing) <= 1, framing
        assert sum(name == b"host" for name, _ in fields) == 1
        return head, self._body(stream, framing)

    @staticmethod
    def _body(stream, framing):
        if not framing:
            return b""
        if framing[0][0] == b"content-length":
            return stream.read(int(framing[0][1]))
        assert framing[0][1] == b"chunked"
        body = b""
        while True:
            line = stream.readline()
            assert re.fullmatch(rb"[0-9a-f]+\r\n", line), line
            size = int(line, 16)
            if size == 0:
                break
            body += stream.read(size)
            assert stream.readline() == b"\r\n"
        assert stream.readline() == b"\r\n"  # no trailers: nobody asked for them
        return body

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
