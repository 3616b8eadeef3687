"""Writes a database of addresses as large as wanted: geo_file.py FILE NETWORKS. Each network has a record of a city's kind.

It writes the bytes itself (https://maxmind.github.io/MaxMind-DB/): libmaxmind-db-writer-perl takes minutes for so many.
"""
import random
import struct
import sys

UINT16, UINT32, UINT64 = 5, 6, 9


def head(kind, size):
    first, extended = (kind << 5, b"") if kind < 8 else (0, bytes([kind - 7]))
    assert size < 285
    return bytes([first | min(size, 29)]) + extended + (bytes([size - 29]) if size >= 29 else b"")


def number(value, kind):
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return head(kind, len(data)) + data


def encode(value):
    if isinstance(value, bytes):  # encoded already
        return value
    if isinstance(value, str):
        return head(2, len(value.encode())) + value.encode()
    if isinstance(value, float):
        return head(3, 8) + struct.pack(">d", value)
    if isinstance(value, int):
        return number(value, UINT32)
    if isinstance(value, list):
        return head(11, len(value)) + b"".join(map(encode, value))
    return head(7, len(value)) + b"".join(encode(name) + encode(inner) for name, inner in value.items())


def record(number):
    code = chr(65 + number % 26) + chr(65 + number // 26 % 26)
    names = {language: f"Name of {number} in {language}" for language in ("de", "en", "es", "fr", "ja", "pt-BR", "ru", "zh-CN")}
    return {"city": {"geoname_id": number, "names": names}, "continent": {"code": code, "geoname_id": 1, "names": names},
            "country": {"geoname_id": number % 250, "iso_code": code, "names": names},
            "location": {"accuracy_radius": 100, "latitude": number / 1000, "longitude": -number / 1000, "time_zone": "Etc/UTC"},
            "subdivisions": [{"geoname_id": number % 977, "iso_code": code[::-1], "names": names}]}


class Tree:
    """Nodes are pairs; a child is a node's number, None, or ("data", offset)."""

    def __init__(self):
        self.nodes = [[None, None]]

    def insert(self, address, bits, data):
        node = 0
        for depth in range(bits):
            side = address >> 31 - depth & 1
            if depth == bits - 1:
                self.nodes[node][side] = ("data", data)
                return
            child = self.nodes[node][side]
            if not isinstance(child, int):  # what was there holds for both halves
                self.nodes.append([child, child])
                child = self.nodes[node][side] = len(self.nodes) - 1
            node = child

    def render(self):
        count = len(self.nodes)

        def place(child):
            return count if child is None else child if isinstance(child, int) else count + 16 + child[1]
        out = bytearray()
        for left, right in ((place(left), place(right)) for left, right in self.nodes):
            out += (left & 0xFFFFFF).to_bytes(3, "big") + bytes([left >> 24 << 4 | right >> 24])
            out += (right & 0xFFFFFF).to_bytes(3, "big")
        return bytes(out)


def main(path, count):
    chance, tree, data, offsets = random.Random(1), Tree(), bytearray(), []
    for which in range(min(count, 60000)):
        offsets.append(len(data))
        data += encode(record(which))
    for bits in sorted(chance.choice((14, 18, 20, 22, 24, 24, 24, 26)) for _ in range(count)):
        tree.insert(chance.getrandbits(32), bits, chance.choice(offsets))
    metadata = {"node_count": len(tree.nodes), "record_size": number(28, UINT16), "ip_version": number(4, UINT16), "database_type": "limpet-bench",
                "languages": ["en"], "binary_format_major_version": number(2, UINT16), "binary_format_minor_version": number(0, UINT16),
                "build_epoch": number(1800000000, UINT64), "description": {"en": "for measurements"}}
    with open(path, "wb") as file:
        file.write(tree.render() + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + encode(metadata))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
