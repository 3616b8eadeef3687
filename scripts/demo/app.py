"""A service with state in its processes: why sessions must be sticky.

GET / returns the replica's own UUID, made at start. The first time, the client gets a session cookie; the replica keeps the
session in its memory, so only this replica knows it. Whoever comes with a session that this replica does not know (its
replica has died, say) begins a new one.
"""
import secrets
import uuid
from typing import Optional

from fastapi import Cookie, FastAPI, Response

app = FastAPI()
replica = str(uuid.uuid4())
sessions = set()


@app.get("/")
def read_root(response: Response, session: Optional[str] = Cookie(None)):
    if session not in sessions:
        session = secrets.token_hex(16)
        response.set_cookie("session", session, httponly=True, samesite="lax")
    sessions.add(session)
    return {"uuid": replica}
