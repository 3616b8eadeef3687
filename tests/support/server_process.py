"""A server that is a process of its own."""
import os
import socket
import subprocess

from ports import free_port
from waiting import wait_until


class ServerProcess:
    """{port} in the command is the server's port; its name is in $SERVER_NAME. Ends with its `with`."""

    def __init__(self, name, *command, env=None):
        self.name = name
        self.port = free_port()
        self.process = subprocess.Popen(
            [part.replace("{port}", str(self.port)) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            env=dict(os.environ, SERVER_NAME=name, PYTHONDONTWRITEBYTECODE="1", **(env or {})))
        try:
            wait_until(self._up, f"server {name}")
        except BaseException:
            self.stop()
            raise

    def _up(self):
        assert self.process.poll() is None, f"server {self.name} has ended"
        return self.answers()

    def answers(self):
        """Whether it is there."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def stop(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
