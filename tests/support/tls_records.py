"""A client of TLS 1.3 whose records are of the test's own making once hands are shaken. Needs python3-cryptography."""
import os
import socket
import ssl
import struct
import tempfile

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from http2 import client_context
from waiting import PATIENCE

HANDSHAKE, APPLICATION_DATA = 22, 23  # RFC 8446 5.1
KEY_UPDATE = bytes([24, 0, 0, 1, 0])  # RFC 8446 4.6.3: nothing is asked for


class TlsRecords:
    """`send` encrypts by the keys that python's ssl has negotiated; what comes is read by ssl."""

    def __init__(self, port, alpn=("h2",)):
        context = client_context(alpn)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        with tempfile.TemporaryDirectory() as folder:
            context.keylog_filename = os.path.join(folder, "keys")
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            self._read(self._tls.do_handshake)
            self.socket.sendall(self._outgoing.read())
            with open(context.keylog_filename) as keys:
                secrets = dict((line.split()[0], line.split()[2]) for line in keys if not line.startswith("#"))
        cipher = self._tls.cipher()[0]
        self._hash = hashes.SHA384() if cipher.endswith("SHA384") else hashes.SHA256()
        self._use(bytes.fromhex(secrets["CLIENT_TRAFFIC_SECRET_0"]), 32 if "AES_256" in cipher else 16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _use(self, secret, key_size):
        """RFC 8446 7.3."""
        self._key, self._iv, self._count = AESGCM(self._expand(secret, b"key", key_size)), self._expand(secret, b"iv", 12), 0

    def _expand(self, secret, label, size):
        label = b"tls13 " + label
        info = struct.pack("!HB", size, len(label)) + label + b"\0"
        return HKDFExpand(self._hash, size, info).derive(secret)

    def send(self, kind, content):
        """One record, whatever is in it. Not behind a whole KeyUpdate: that changes the keys."""
        nonce = bytes(a ^ b for a, b in zip(self._iv, self._count.to_bytes(12, "big")))
        self._count += 1
        content += bytes([kind])
        head = b"\x17\x03\x03" + struct.pack("!H", len(content) + 16)
        self.socket.sendall(head + self._key.encrypt(nonce, content, head))

    def read(self):
        return self._read(lambda: self._tls.read(65536))

    def _read(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.socket.sendall(self._outgoing.read())
                data = self.socket.recv(65536)
                if not data:
                    return b""
                self._incoming.write(data)
