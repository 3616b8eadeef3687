"""Imitates Streamlit, which is not in Debian: python3 streamlit_app.py PORT.

Its paths, its XSRF cookie (Tornado's, as Streamlit sets it), WebSockets whose subprotocols carry token and last session, and
uploads and media of a session in memory. The messages are JSON here, not protocol buffers.
"""
import asyncio
import json
import os
import sys

import tornado.web
import tornado.websocket

NAME = os.environ["SERVER_NAME"]
sessions = {}  # visits, and uploaded files by name


class Handler(tornado.web.RequestHandler):
    def say(self, **content):
        self.write({"server": NAME, **content})


class Health(Handler):
    def get(self):
        self.set_cookie("_streamlit_xsrf", self.xsrf_token)
        self.write("ok")


class Upload(Handler):
    def put(self, session, file):  # the application's xsrf_cookies has compared cookie and header
        if session not in sessions:
            raise tornado.web.HTTPError(400, reason="Invalid session_id")
        sessions[session]["files"][file] = self.request.body
        self.set_status(204)


class Media(Handler):
    def get(self, session, file):
        content = sessions.get(session, {"files": {}})["files"].get(file)
        if content is None:
            raise tornado.web.HTTPError(404)
        self.write(content)


class Stream(tornado.websocket.WebSocketHandler):
    def select_subprotocol(self, subprotocols):
        self.token, *last = subprotocols[1:]
        self.session = last[0] if last and last[0] in sessions else os.urandom(8).hex()
        return subprotocols[0]

    def open(self):
        sessions.setdefault(self.session, {"visits": 0, "files": {}})

    def on_message(self, message):  # "rerun the script"
        sessions[self.session]["visits"] += 1
        self.write_message(json.dumps({"server": NAME, "session": self.session, "visits": sessions[self.session]["visits"]}))


async def main():
    application = tornado.web.Application([
        (r"/_stcore/health", Health),
        (r"/_stcore/stream", Stream),
        (r"/_stcore/upload_file/(\w+)/(\w+)", Upload),
        (r"/media/(\w+)/(\w+)", Media),
    ], xsrf_cookies=True, xsrf_cookie_name="_streamlit_xsrf", cookie_secret="the same on both")
    application.listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
