"""Counts a visitor's requests in Flask's session, which is all in the cookie, and in this process."""
import os
import sys

from flask import Flask, session

app = Flask(__name__)
app.secret_key = "the same on both"
here = {}


@app.get("/")
def count():
    session["visitor"] = session.get("visitor") or os.urandom(8).hex()
    session["visits"] = session.get("visits", 0) + 1
    here[session["visitor"]] = here.get(session["visitor"], 0) + 1
    return {"server": os.environ["SERVER_NAME"], "visits": here[session["visitor"]], "in_cookie": session["visits"]}


app.run("127.0.0.1", int(sys.argv[1]))
