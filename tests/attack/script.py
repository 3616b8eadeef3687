"""A backend that follows a script once, to the letter, and is an honest server ever after."""
import socket
import struct
import threading

from listener import Listener

FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
PAUSE = 0.02  # so that what follows is another segment; nothing depends on it


class Scripted(Listener):
    """`play(steps)`: what the next request gets. A step is (mark, bytes):

    `<` says the bytes, `<early` says them before there is a request, `<more` in a segment of its own, `<slowly` byte by
    byte; `<close` ends the connection, `<reset` does so without manners, `<deaf` answers nothing any more.
    """

    def __init__(self):
        self.asked = 0
        self._steps = None
        super().__init__()

    def play(self, steps):
        self.asked, self._steps = 0, list(steps)

    def _serve(self, connection):
        if self._steps and self._steps[0][0] == "<early":
            self.asked, steps, self._steps = 1, self._steps, None
            self._answer(connection, steps)
            return
        with connection.makefile("rb") as stream:
            while read_request(stream):
                self.asked += 1
                steps, self._steps = self._steps, None
                if not self._answer(connection, [("<", FINE)] if steps is None else steps):
                    return

    def _answer(self, connection, steps):
        """False if that was its end."""
        for number, (mark, data) in enumerate(steps):
            if mark == "<close":
                return False
            if mark == "<reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            if mark == "<deaf":
                while connection.recv(65536):
                    pass
                return False
            if number and mark != "<":
                threading.Event().wait(PAUSE)
            for piece in (data[i:i + 1] for i in range(len(data))) if mark == "<slowly" else [data]:
                connection.sendall(piece)
        return True


def read_request(stream):
    """True if there was one; its body is read, too."""
    length, line = 0, b"-"
    while line not in (b"\r\n", b""):
        line = stream.readline()
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return bool(line) and len(stream.read(length)) == length
