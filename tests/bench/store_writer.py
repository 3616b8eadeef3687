"""Writes sessions to Redis by the thousand as limpets do: the same script, keys and records, without a limpet.

Redis: `RedisServer` of tests/support. `template`: a record that a limpet has written, which says what a server's id is.
"""
import os
import re
import struct
import threading
import time

HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../worker/store/store_script.h")
COUNT_BITS = 16      # of a version's time: what is below the milliseconds
VERSION_SIZE = KEY_SIZE = 10
MACHINE = 0xBE9C     # some machine that is none of the limpets
BATCH = 400          # changes of one write
MOST_UNDER_WAY = 8000
TAKEN = b":1\r\n"


def from_header(pattern):
    with open(HEADER) as text:
        return re.search(pattern, text.read(), re.DOTALL)[1]


def command(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class StoreWriter:
    """Every change is a new session. One connection, many changes on their way; `written` are those that Redis has taken."""

    def __init__(self, redis, zone, life_ms, template):
        self.client = redis.client()
        begin = f"limpet:{{{zone}}}:".encode()
        script = self.client("SCRIPT", "LOAD", from_header(r'R"\((.*?)\)"'))
        length = from_header(r'kStreamLength = "(\d+)"').encode()
        # Parts of a command between what differs: key, version, key. No byte of the samples is elsewhere in it.
        key, version = b"\x01" * KEY_SIZE, b"\x02" * VERSION_SIZE
        whole = command(b"EVALSHA", script, b"2", begin + key, begin + b"changes", version + template[VERSION_SIZE:],
                        str(life_ms).encode(), length, key)
        head, rest = whole.split(key, 1)
        middle, rest = rest.split(version)
        after, tail = rest.split(key)
        self._parts = head, middle, after, tail
        self.written, self._sent = 0, 0

    def _changes(self, count):
        head, middle, after, tail = self._parts
        tags, time_ms = os.urandom(8 * count), int(time.time() * 1000)
        commands = []
        for number in range(count):
            key = tags[8 * number:8 * number + 8] + (self._sent + number & 0x7FFF).to_bytes(2, "big")
            version = struct.pack(">QH", time_ms << COUNT_BITS | number, MACHINE)
            commands += head, key, middle, version, after, key, tail
        return b"".join(commands)

    def _send(self, count):
        self.client.socket.sendall(self._changes(count))
        self._sent += count

    def _take_answers(self, under_way):
        """Until no more changes than that are on their way. Each answer says that one was written."""
        while (unanswered := self._sent - self.written) > under_way:
            data = self.client.stream.read(min(unanswered - under_way, BATCH) * len(TAKEN))
            count = len(data) // len(TAKEN)
            assert count and data == TAKEN * count, data[:200]
            self.written += count

    def fill(self, count):
        """As fast as Redis takes them."""
        for _ in range(count // BATCH):
            self._send(BATCH)
            self._take_answers(MOST_UNDER_WAY)
        self._take_answers(0)

    def write(self, rate, seconds):
        """So many a second; what was late is made up for. How long it took."""
        begin = time.monotonic()
        for number in range(rate * seconds // BATCH):
            time.sleep(max(0, begin + number * BATCH / rate - time.monotonic()))
            self._send(BATCH)
            self._take_answers(MOST_UNDER_WAY)
        self._take_answers(0)
        return time.monotonic() - begin


class InBackground(threading.Thread):
    """`with InBackground(action) as it: …` waits for its end; `it.result`."""

    def __init__(self, action):
        super().__init__(daemon=True)
        self._action, self.result, self.error = action, None, None

    def run(self):
        try:
            self.result = self._action()
        except BaseException as error:
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.join()
        if kind is None and self.error:
            raise self.error
