"""Conversations that are named in a header, at servers with a bounded number of requests. The servers imitate an API that
streams tokens as events."""
import http.client
import json
import threading

import pytest

from origin import Origin, Reply
from recipe import Recipe
from staying import check_that_sessions_stay
from waiting import PATIENCE, wait_until

PLACES = 16  # max_conns of the recipes


class Model(Origin):
    """Answers with tokens; with `X-Slow: 1` the second one waits for `go`."""

    def __init__(self, name):
        self.turns, self.go = {}, threading.Event()
        super().__init__(name, self.answer)

    def answer(self, request):
        session = request.header("x-session-id", "")
        self.turns[session] = self.turns.get(session, 0) + 1
        return Reply(raw=self.tokens(self.turns[session], bool(request.header("x-slow"))))

    def tokens(self, turn, slow):
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        yield event({"server": self.name, "turn": turn})
        if slow:
            self.go.wait(PATIENCE)
        yield event({"token": "yes"}) + b"0\r\n\r\n"


def event(content):
    data = f"data: {json.dumps(content)}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


class Completion:
    """A request whose answer has begun: its first event is there."""

    def __init__(self, port, session, **headers):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self.connection.request("POST", "/v1/chat/completions", json.dumps({"stream": True}),
                                {"X-Session-ID": session, **headers})
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        first = json.loads(self.answer.readline()[6:])
        self.server, self.turn = first["server"], first["turn"]

    def finish(self):
        assert b'"yes"' in self.answer.read()
        self.connection.close()
        return self.server, self.turn


@pytest.fixture
def servers():
    with Model("a") as a, Model("b") as b:
        yield a, b
        for server in (a, b):
            server.go.set()


@pytest.mark.parametrize("recipe", ["llm", "llm-hash"])
def test_conversations_stay(servers, recipe):
    with Recipe(recipe, *servers) as limpet:
        def turn(session):
            return Completion(limpet.port, session).finish()

        check_that_sessions_stay(limpet, [f"conversation {i}" for i in range(24)], turn)


@pytest.mark.parametrize("recipe", ["llm", "llm-hash"])
def test_one_whose_server_is_full_is_answered_elsewhere_and_returns(servers, recipe):
    with Recipe(recipe, *servers) as limpet:
        def home():
            return Completion(limpet.port, "mine").finish()[0]

        own = home()
        running = [Completion(limpet.port, "mine", **{"X-Slow": "1"}) for _ in range(PLACES)]
        assert {completion.server for completion in running} == {own}
        assert {home() for _ in range(4)} == {"a", "b"} - {own}, "its own has no room"
        for server in servers:
            server.go.set()
        for completion in running:
            completion.finish()
        wait_until(lambda: home() == own, "the conversation to be back")
        assert {home() for _ in range(6)} == {own}
