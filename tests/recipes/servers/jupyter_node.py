"""Imitates a node of JupyterHub: python3 jupyter_node.py PORT.

Users' servers begin with their first request. As Jupyter's: kernels are begun by POST and computed with over WebSockets, by
whoever has the user's cookie or token; POST …/api/shutdown ends the user's server.
"""
import asyncio
import json
import os
import sys

import tornado.web
import tornado.websocket

NAME = os.environ["SERVER_NAME"]
kernels = {}  # by user: by id: executions


class OfUser:
    """Both kinds of handlers: `user` is the first argument of all."""

    def prepare(self):
        user = self.path_args[0]
        by_token = self.request.headers.get("Authorization") == f"token secret-of-{user}"
        if not by_token and self.get_cookie(f"jupyterhub-user-{user}") != f"login-of-{user}":
            raise tornado.web.HTTPError(403)


class Login(tornado.web.RequestHandler):
    def get(self, user):
        self.set_cookie(f"jupyterhub-user-{user}", f"login-of-{user}", path=f"/user/{user}/")


class Kernels(OfUser, tornado.web.RequestHandler):
    def get(self, user):
        self.write({"server": NAME, "kernels": sorted(kernels.get(user, {}))})

    def post(self, user):
        kernel = os.urandom(8).hex()
        kernels.setdefault(user, {})[kernel] = 0
        self.write({"server": NAME, "id": kernel})


class Channels(OfUser, tornado.websocket.WebSocketHandler):
    def prepare(self):
        super().prepare()
        user, self.kernel = self.path_args
        self.mine = kernels.get(user, {})
        if self.kernel not in self.mine:
            raise tornado.web.HTTPError(404)

    def open(self, *_):
        pass

    def on_message(self, message):
        self.mine[self.kernel] += 1
        self.write_message(json.dumps({"server": NAME, "execution_count": self.mine[self.kernel]}))


class Shutdown(OfUser, tornado.web.RequestHandler):
    def post(self, user):
        kernels.pop(user, None)


async def main():
    tornado.web.Application([
        (r"/user/(\w+)/login", Login),
        (r"/user/(\w+)/api/kernels", Kernels),
        (r"/user/(\w+)/api/kernels/(\w+)/channels", Channels),
        (r"/user/(\w+)/api/shutdown", Shutdown),
        (r"/hub/.*", tornado.web.RedirectHandler, {"url": "/user/unknown/login"}),
    ]).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
