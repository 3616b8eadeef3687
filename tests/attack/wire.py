"""What a client was told, said in a few words from the bytes alone."""
import itertools
import re
import socket

from waiting import PATIENCE

END = b"GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"  # what an open connection is asked at the end


def exchange(port, data, address="127.0.0.1", half_close=False):
    """Everything that comes back until the server closes; a reset ends it, too."""
    received = b""
    with socket.create_connection((address, port), timeout=PATIENCE) as connection:
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it answered and closed before it had read everything
        try:
            while (more := connection.recv(65536)):
                received += more
        except TimeoutError:
            return received + b"<no end>"
        except OSError:
            pass
    return received


def tell(data, is_head=False, show=()):
    """`200`, `206'bcd'`, `100 200`, `400`; `+` behind it if the connection was still good for the END.

    `show` names fields that are told, too: `200{Set-Cookie: a=b}`.
    """
    words = []
    while data:
        if not re.match(rb"HTTP/1\.[01] \d{3}[ \r]", data) or b"\r\n\r\n" not in data:
            return _said([*words, f"bytes {data[:12]!r}"])
        head, _, data = data.partition(b"\r\n\r\n")
        if b"\r\nX-End:" in head:
            return "".join([_said(words), "+", f" then {data[:12]!r}" if data else ""])
        status = head.split(b" ")[1][:3].decode()
        body, data, whole = _body(head, data, is_head or status[0] == "1" or status in ("204", "304"))
        fields = "".join("{%s}" % line.decode("latin-1") for name in show
                         for line in re.findall(rb"(?im)^(%s:.*?)\r?$" % name.encode(), head))
        fields = re.sub(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "NOW", fields)
        words.append(status + fields + (_shown(status, head, body) if whole else " cut"))
    return _said(words) or "nothing"


def _said(words):
    """What comes again and again is said once."""
    runs = [(word, len(list(again))) for word, again in itertools.groupby(words)]
    return " ".join(word if count == 1 else f"{word}*{count}" for word, count in runs)


def field(head, name):
    found = re.search(rb"(?im)^%s:[ \t]*(.*?)[ \t]*\r?$" % name, head)
    return found and found[1]


def _body(head, data, without):
    if without:
        return b"", data, True
    if (length := field(head, b"content-length")) is not None:
        return data[:int(length)], data[int(length):], len(data) >= int(length)
    if (field(head, b"transfer-encoding") or b"").lower() != b"chunked":
        return data, b"", True
    body = b""
    while (found := re.match(rb"([0-9a-f]+)\r\n", data)):
        size, data = int(found[1], 16), data[found.end():]
        if size == 0:
            return body, data[2:], data.startswith(b"\r\n")
        body, data = body + data[:size], data[size + 2:]
    return body, data, False


def _shown(status, head, body):
    if status[0] != "2" or body == b"ok":
        return ""
    text = body.decode("latin-1")
    shown = repr(text) if len(text) <= 60 else f"<{len(text)}>"
    if (part := field(head, b"content-range")):
        shown += f"[{part.decode()}]"
    return shown if text or status == "206" else ""
