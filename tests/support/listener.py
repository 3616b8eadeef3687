"""A backend's listening socket: it accepts, serves each connection in a thread of its own and counts them."""
import socket
import threading

from ports import free_port


class Listener:
    """Base of backends that speak bytes; they say in `_serve(connection)` what becomes of a connection."""

    address = "127.0.0.1"  # "": all of this machine

    def __init__(self):
        self.port = free_port()
        self._busy, self._lock = 0, threading.Lock()
        self._listener = socket.create_server((self.address, self.port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def is_idle(self):
        """No connection is served now."""
        return self._busy == 0

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._count(1)
            threading.Thread(target=self._serve_counted, args=(connection,), daemon=True).start()

    def _serve_counted(self, connection):
        try:
            with connection:
                self._serve(connection)
        except OSError:
            pass
        finally:
            self._count(-1)

    def _count(self, more):
        with self._lock:
            self._busy += more
