"""nginx itself under a test's configuration, where one that knows `sticky` is installed: `NGINX_BINARY`, or on the path."""
import os
import re
import shutil
import subprocess

from daemon import Limpet


def find():
    """The binary; None if there is none."""
    path = os.environ.get("NGINX_BINARY") or shutil.which("nginx")
    if not path or not os.path.exists(path):
        return None
    said = subprocess.run([path, "-v"], capture_output=True, text=True).stderr
    version = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said)
    return path if version and tuple(map(int, version.groups())) >= (1, 29, 6) else None


class Nginx(Limpet):
    binary = find()
