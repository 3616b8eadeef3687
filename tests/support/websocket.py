"""Frames of RFC 6455, just enough for a client that talks to an echo."""
import base64
import os
import struct

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9


def upgrade(connection, path="/", cookies=None):
    """Asks for a WebSocket; returns the response to the request."""
    key = base64.b64encode(os.urandom(16)).decode()
    more = [("Cookie", cookies)] if cookies else []
    return connection.request(path, headers=[("Connection", "Upgrade"), ("Upgrade", "websocket"),
                                             ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key), *more])


def masked(payload, mask):
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def frame(opcode, payload):
    """A client's frame: final and masked."""
    mask = os.urandom(4)
    if len(payload) < 126:
        length = bytes([0x80 | len(payload)])
    elif len(payload) < 65536:
        length = struct.pack("!BH", 0x80 | 126, len(payload))
    else:
        length = struct.pack("!BQ", 0x80 | 127, len(payload))
    return bytes([0x80 | opcode]) + length + mask + masked(payload, mask)


def server_frame(opcode, payload):
    """A server's: not masked; up to 125 bytes."""
    return bytes([0x80 | opcode, len(payload)]) + payload


def read_frame(stream):
    """(opcode, payload) of the next frame; None at the end of the stream."""
    head = stream.read(2)
    if len(head) < 2:
        return None
    length = head[1] & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", stream.read(2))
    elif length == 127:
        (length,) = struct.unpack("!Q", stream.read(8))
    mask = stream.read(4) if head[1] & 0x80 else bytes(4)
    return head[0] & 0x0F, masked(stream.read(length), mask)
