"""A server of no particular framework: it counts the requests of each of its sessions."""
import json
import os
import re

from origin import Origin, Reply


class CountingApp(Origin):
    """`cookie`: who comes without a session of this server's is given one in it. `key`: else, what a request's session is."""

    def __init__(self, name, cookie=None, key=None):
        self.cookie, self.key, self.visits = cookie, key, {}
        super().__init__(name, self.answer)

    def answer(self, request):
        session, headers = self.key(request) if self.key else self.find(request), []
        if session is None:
            session = os.urandom(12).hex()
            headers = [("Set-Cookie", f"{self.cookie}={session}; Path=/; HttpOnly")]
        self.visits[session] = self.visits.get(session, 0) + 1
        body = {"server": self.name, "visits": self.visits[session]}
        return Reply(json.dumps(body).encode(), headers=headers)

    def find(self, request):
        found = re.search(rf"\b{self.cookie}=([^;]+)", request.header("cookie", ""))
        return found[1] if found and found[1] in self.visits else None


def visit(visitor):
    """Of a BrowserClient."""
    seen = visitor.get().json
    return seen["server"], seen["visits"]
