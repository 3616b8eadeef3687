"""The demo's FastAPI service, run by uvicorn as separate processes."""
import os
import subprocess

from client import get
from ports import free_port
from waiting import wait_until

_APP_DIR = os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "demo")


class Replica:
    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-m", "uvicorn", "--app-dir", _APP_DIR, "--host", "127.0.0.1",
             "--port", str(self.port), "--log-level", "warning", "app:app"],
            stdin=subprocess.DEVNULL, env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"))
        wait_until(self._up, "uvicorn")

    def _up(self):
        assert self.process.poll() is None, "uvicorn did not start"
        try:
            return get(self.port).status == 200
        except OSError:
            return False

    def stop(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
