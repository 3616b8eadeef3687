"""Notes to a new binary (SIGUSR2) that are not what they should be. Alone, too: `LIAR` runs in the binary's place and must be quick."""
import os


def memory(content):
    fd = os.memfd_create("lie", 0)
    os.write(fd, content)
    return fd


def each_field(change, kinds=None):
    """A lie that changes the fields of each line, all of them or those of some kinds: `change(number of the field, field)`."""
    def lie(notes):
        lines = []
        for line in notes.split(b"\n"):
            kind, *fields = line.split(b"\t")
            if kinds is None or kind in kinds:
                fields = [change(i, field) for i, field in enumerate(fields)]
            lines.append(b"\t".join([kind, *fields]))
        return b"\n".join(lines)
    return lie


def is_number(field):
    return field.lstrip(b"-").isdigit()


def every_number(value):
    return each_field(lambda _, field: value if is_number(field) else field)


def numbers_of_peers(value):
    """Not those of zones, so that they are taken."""
    return each_field(lambda _, field: value if is_number(field) else field, [b"configured", b"resolved", b"counters"])


def zone_field(number, value):
    return each_field(lambda i, field: value if i == number else field, [b"zone"])


def flood(notes):
    peers = [line for line in notes.split(b"\n") if line.startswith((b"configured", b"resolved"))]
    return notes + b"\n".join(peers * (14_000_000 // sum(map(len, peers)))) + b"\n" + notes


def many_peers(notes):
    tail = b"\t".join([b"0"] * 30)
    return notes + b"".join(b"resolved\tnamed\tweb.test\t\t%d\t10.%d.%d.%d:80\t\t1\t0\t%s\n" %
                            (port, i >> 16, i >> 8 & 255, i & 255, tail) for port in range(1, 3) for i in range(20_000))


BIGGEST, LEAST = b"18446744073709551615", b"-9223372036854775808"
LIES = {
    "nothing": lambda notes: b"",
    "the first quarter": lambda notes: notes[:len(notes) // 4],
    "half": lambda notes: notes[:len(notes) // 2],
    "all but the end": lambda notes: notes[:-3],
    "without ends of lines": lambda notes: notes.replace(b"\n", b"\t"),
    "without fields": lambda notes: notes.replace(b"\t", b""),
    "zeros": lambda notes: notes + bytes(1 << 20),
    "noise": lambda notes: os.urandom(1 << 20),
    "noise behind it": lambda notes: notes + os.urandom(1 << 20),
    "more than is read": lambda notes: notes + b"x\n" * (10 << 20),
    "twice": lambda notes: notes * 2,
    "every line a thousand times": flood,
    "servers by the ten thousand": many_peers,
    "biggest numbers": every_number(BIGGEST),
    "least numbers": every_number(LEAST),
    "biggest numbers of servers": numbers_of_peers(BIGGEST),
    "least numbers of servers": numbers_of_peers(LEAST),
    "2147483648 of servers": numbers_of_peers(b"2147483648"),
    "zones of no size": zone_field(2, b"0"),
    "zones of another size": zone_field(2, b"2097152"),
    "zones without end": zone_field(2, BIGGEST),
    "zones of another layout": zone_field(3, b"1"),
    "zones in the output": zone_field(4, b"1"),
    "zones in a socket": lambda notes: zone_field(4, os.environ["LIMPET_SOCKETS"].partition(":")[2].split(";")[0].encode())(notes),
    "zones in one descriptor": lambda notes: zone_field(4, str(memory(bytes(1 << 20))).encode())(notes),
    "zones in no descriptor": zone_field(4, b"1000000000"),
    "zones in a file that is too small": lambda notes: zone_field(4, str(memory(b"x")).encode())(notes),
}
