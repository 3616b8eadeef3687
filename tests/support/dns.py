"""A name server of a test's own: UDP and TCP on one port, records that may change at any time, and a memory of questions."""
import ipaddress
import socket
import struct
import threading
from dataclasses import dataclass, field

from ports import free_port

A, CNAME, AAAA, SRV = 1, 5, 28, 33
SERVFAIL, NXDOMAIN = 2, 3


@dataclass
class Zone:
    """What a server knows: (name, type) to values. A name with another type exists without records."""
    records: dict = field(default_factory=dict)
    ttl: int = 1
    error: int = 0          # answered to everything
    truncate: bool = False  # over UDP nothing but the hint to ask over TCP
    silent: bool = False    # no answer at all


def _addresses(name, addresses):
    found = {}
    for kind, version in ((A, 4), (AAAA, 6)):
        values = [a for a in addresses if ipaddress.ip_address(a).version == version]
        found[name, kind] = [ipaddress.ip_address(a).packed for a in values]
    return found


class NameServer:
    def __init__(self, port=None, **zone):
        self.port = port or free_port()
        self.zone = Zone(**zone)
        self.questions = []  # (name, type, "udp" or "tcp")
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        self._tcp = socket.create_server(("127.0.0.1", self.port))
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def set(self, **records):
        """The addresses of names: web=["10.0.0.1", "::1"]; each name stands below .test. All at once: no name is away meanwhile."""
        fresh = {}
        for name, addresses in records.items():
            fresh |= _addresses(f"{name}.test", addresses)
        self.zone.records = fresh

    def add(self, name, addresses):
        self.zone.records = self.zone.records | _addresses(name, addresses)

    def set_alias(self, name, target):
        for kind in (A, AAAA):
            self.zone.records[name, kind] = [(CNAME, _name(target))]

    def set_service(self, name, *records):
        """Each record is (priority, weight, port, target)."""
        self.zone.records[name, SRV] = [struct.pack("!HHH", *numbers) + _name(target) for *numbers, target in records]

    def asked(self, kind=None):
        return len([question for question in self.questions if kind in (None, question[1])])

    def stop(self):
        for one in (self._udp, self._tcp):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _serve_udp(self):
        while True:
            try:
                question, client = self._udp.recvfrom(4096)
                if not question:
                    return
                if answer := self._answer(question, "udp"):
                    self._udp.sendto(answer, client)
            except OSError:
                return

    def _serve_tcp(self):
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(connection,), daemon=True).start()

    def _serve_connection(self, connection):
        with connection, connection.makefile("rb") as stream:
            while len(size := stream.read(2)) == 2:
                answer = self._answer(stream.read(struct.unpack("!H", size)[0]), "tcp")
                if answer:
                    connection.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, question, over):
        zone = self.zone  # replaced as a whole, or its parts: one look is enough
        name, end = _read_name(question, 12)
        kind = struct.unpack("!H", question[end:end + 2])[0]
        self.questions.append((name, kind, over))
        if zone.silent:
            return None
        values = zone.records.get((name, kind), [])
        error = zone.error or (0 if any(known == name for known, _ in zone.records) else NXDOMAIN)
        truncated = zone.truncate and over == "udp"
        if error or truncated:
            values = []
        flags = 0x8180 | (0x0200 if truncated else 0) | error
        out = question[:2] + struct.pack("!HHHHH", flags, 1, len(values), 0, 0) + question[12:end + 4]
        for value in values:
            own_kind, data = value if isinstance(value, tuple) else (kind, value)
            out += struct.pack("!HHHIH", 0xc00c, own_kind, 1, zone.ttl, len(data)) + data
        return out


def _name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def _read_name(data, at):
    labels = []
    while (size := data[at]):
        labels.append(data[at + 1:at + 1 + size].decode().lower())
        at += 1 + size
    return ".".join(labels), at + 1
