"""Clients and upstreams that break off anywhere, many at once: no worker dies, no connection is left behind."""
import os
import random
import socket
import struct
import threading

import pytest

from client import get
from daemon import Limpet, alive
from origin import Reply
from waiting import wait_until

CONFIG = """
events { }
http {
    upstream app {
        server 127.0.0.1:{a} fail_timeout=1s;
        server 127.0.0.1:{b} max_fails=0;
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=storm:64k;
        keepalive 8;
    }
    client_body_buffer_size 1k;
    proxy_buffers 2 4k;
    proxy_buffer_size 4k;
    proxy_busy_buffers_size 4k;
    proxy_next_upstream error timeout invalid_header http_500 non_idempotent;
    server {
        listen {port};
        error_page 502 504 /gone;
        location / { proxy_pass http://app; }
        location /streamed { proxy_pass http://app; proxy_request_buffering off; proxy_buffering off; }
        location /socket {
            proxy_pass http://app;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection Upgrade;
        }
        location /gone { return 200 gone; }
        location /gzip { gzip on; gzip_types *; gzip_min_length 1; proxy_pass http://app; }
        location /status { stub_status; }
    }
}
"""
CLIENTS, ROUNDS = 8, 60


def unreliable(seed):
    """An origin's answers: fine ones, broken ones, ends in the middle."""
    dice = random.Random(seed)

    def respond(request):
        size = dice.choice([0, 1, 5000, 200000])
        body = b"x" * size
        session = [("Set-Cookie", f"s={dice.randrange(500)}")]
        length = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
        return dice.choice([
            Reply(body, headers=session), Reply(body, headers=session),
            Reply(chunks=[body[i:i + 3000] for i in range(0, size, 3000)], headers=session),
            Reply(body, status="500 Oh"),
            Reply(body, close=True),
            Reply(raw=length + body[:size // 2], close=True),
            Reply(raw=b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + length + body),
            Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", close=True),
            Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", close=True),
            Reply(raw=b"nonsense", close=True),
            Reply(raw=b"", close=True),
            Reply(raw=b"HTTP/1.0 200 OK\r\n\r\n" + body, close=True),
        ])

    return respond


def requests(dice):
    """Some requests for one connection, as bytes."""
    data = b""
    for _ in range(dice.randrange(1, 4)):
        path = dice.choice([b"/", b"/streamed", b"/gzip", b"/socket"])
        head = b" %s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nCookie: s=%d\r\n" % (path, dice.randrange(500))
        size = dice.choice([1, 3000, 100000])
        data += dice.choice([
            b"GET" + head + b"\r\n",
            b"HEAD" + head + b"\r\n",
            b"GET" + head + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + b"frames" * 50,
            b"POST" + head + b"Content-Length: %d\r\n\r\n" % size + b"b" * size,
            b"POST" + head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % size + b"b" * size,
            b"PUT" + head + b"Transfer-Encoding: chunked\r\n\r\n" + b"4\r\nabcd\r\n" * (size // 4) + b"0\r\n\r\n",
            b"PUT" + head + b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcdefg",
        ])
    return data


def visit(port, dice):
    """Sends in pieces, reads some, and goes, politely or not, at any moment."""
    data = requests(dice)
    data = data[:dice.choice([len(data), len(data), dice.randrange(1, len(data) + 1)])]
    with socket.create_connection(("127.0.0.1", port), timeout=0.2) as connection:
        try:
            while data:
                size = dice.choice([1, 100, 5000, len(data)])
                connection.sendall(data[:size])
                data = data[size:]
                if dice.random() < 0.02:
                    break
            for _ in range(dice.randrange(0, 6)):
                if not connection.recv(dice.choice([1, 1000, 100000])):
                    break
        except OSError:
            pass
        if dice.random() < 0.5:  # a reset instead of an end
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def sockets(pid):
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
        except OSError:
            pass
    return count


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # origins get broken requests, too
def test_a_storm(origins):
    a, b = origins("a", "b")
    a.respond, b.respond = unreliable(1), unreliable(2)
    with Limpet(CONFIG, workers=2, a=a.port, b=b.port) as limpet:
        before = limpet.workers()
        idle = {pid: sockets(pid) for pid in before}

        def client(seed):
            dice = random.Random(seed)
            for _ in range(ROUNDS):
                visit(limpet.port, dice)

        threads = [threading.Thread(target=client, args=(seed,)) for seed in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert limpet.workers() == before and all(alive(pid) for pid in before)
        kept = 8  # idle upstream connections that each worker may keep
        wait_until(lambda: all(sockets(pid) <= idle[pid] + kept for pid in before), "connections to be closed")
        status = wait_until(lambda: (text := get(limpet.port, "/status").text).startswith("Active connections: 1 ") and text,
                            "the counters to come down")
        assert "Reading: 0 Writing: 1 Waiting: 0" in status
        a.respond = b.respond = lambda request: Reply(b"fine")
        wait_until(lambda: {get(limpet.port).text for _ in range(20)} == {"fine"}, "the upstream to be trusted again")
