"""Free ports for servers of a test."""
import collections
import random
import socket

# Below the range that the kernel takes ports of outgoing connections from: none of those can get in between.
_RANGE = range(12000, 30000)
_CLAIMS = collections.deque(maxlen=200)  # as long as this process lives: the port is no other test's meanwhile


def _claim(port):
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0limpet-test-port-{port}")
    except OSError:
        claim.close()
        return False
    _CLAIMS.append(claim)
    return True


def free_port():
    """A port that nobody listens on now, on any address, and that no other test has been given."""
    while True:
        port = random.choice(_RANGE)
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
        if _claim(port):
            return port
