"""Free ports for servers of a test."""
import random
import socket

# Below the range that the kernel takes ports of outgoing connections from: none of those can get in between.
_RANGE = range(12000, 30000)


def free_port():
    """A port that nobody listens on now, on any address."""
    while True:
        port = random.choice(_RANGE)
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
                return port
            except OSError:
                continue
