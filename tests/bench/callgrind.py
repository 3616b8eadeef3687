"""Instructions, as callgrind counts them: how a command is run under it, what it has counted, and what a counted proxy asks."""
import re

from listener import Listener

BODY = b"x" * 128


def counting(command, counts):
    """The command, under callgrind, which writes to that file at the end."""
    return ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={counts}", *command]


def counted(counts):
    with open(counts) as text:
        return int(re.search(r"^totals: (\d+)", text.read(), re.M)[1])


class Backend(Listener):
    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)

    def _serve(self, connection):
        with connection.makefile("rb") as stream:
            while (line := stream.readline()):
                if line == b"\r\n":
                    connection.sendall(self.ANSWER)
