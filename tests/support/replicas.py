"""The demo's FastAPI service, run by uvicorn as separate processes."""
import os

from client import get
from server_process import ServerProcess

_APP_DIR = os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "demo")


class Replica(ServerProcess):
    def __init__(self):
        super().__init__("uvicorn", "/usr/bin/python3", "-m", "uvicorn", "--app-dir", _APP_DIR, "--host", "127.0.0.1",
                         "--port", "{port}", "--log-level", "warning", "app:app")

    def answers(self):
        try:
            return get(self.port).status == 200
        except OSError:
            return False
