"""Users' servers on nodes: browsers, tokens and kernels (servers/jupyter_node.py imitates JupyterHub and Jupyter)."""
import asyncio
import json

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from browser_client import BrowserClient
from recipe import Recipe
from servers import python_servers

USERS = [f"user{i}" for i in range(6)]


@pytest.fixture
def servers():
    with python_servers("jupyter_node.py", "a", "b", "hub") as these:
        yield these


class User:
    def __init__(self, limpet, name):
        self.port, self.path = limpet.port, f"/user/{name}"
        self.browser = BrowserClient(limpet.port)
        self.script = BrowserClient(limpet.port, Authorization=f"token secret-of-{name}")
        assert self.browser.get(self.path + "/login").status == 200
        begun = self.browser.post(self.path + "/api/kernels").json
        self.server, self.kernel, self.count = begun["server"], begun["id"], 0

    async def open_kernel(self):
        url = f"ws://127.0.0.1:{self.port}{self.path}/api/kernels/{self.kernel}/channels"
        self.socket = await websocket_connect(HTTPRequest(url, headers={"Cookie": self.browser.cookie_header()}))

    async def compute(self):
        await self.socket.write_message("1 + 1")
        self.count += 1
        said = json.loads(await asyncio.wait_for(self.socket.read_message(), 20))
        assert said == {"server": self.server, "execution_count": self.count}

    def kernels(self, client):
        return client.get(self.path + "/api/kernels").json

    def check(self):
        """From all devices the same."""
        for client in (self.browser, self.script) * 2:
            assert self.kernels(client) == {"server": self.server, "kernels": [self.kernel]}


async def check_users(limpet):
    users = [User(limpet, name) for name in USERS]
    assert {user.server for user in users} == {"a", "b"}
    for user in users:
        user.check()
        await user.open_kernel()
        await user.compute()
    await asyncio.to_thread(limpet.reload_beneath)
    for user in users:
        await user.compute()
        user.check()
        user.socket.close()
        await user.open_kernel()
        await user.compute()


def test_users_stay(servers):
    with Recipe("jupyterhub", *servers) as limpet:
        asyncio.run(check_users(limpet))


def test_a_shutdown_ends_the_session(servers):
    with Recipe("jupyterhub", *servers) as limpet:
        user = User(limpet, "ann")
        assert limpet.sessions("jupyter_users") == 1
        assert BrowserClient(limpet.port, Authorization="token wrong").post(user.path + "/api/shutdown").status == 403
        assert limpet.sessions("jupyter_users") == 1, "it was not allowed to"
        assert user.script.post(user.path + "/api/shutdown").status == 200
        assert limpet.sessions("jupyter_users") == 0


def test_the_hub_is_none_of_the_nodes(servers):
    with Recipe("jupyterhub", *servers) as limpet:
        assert BrowserClient(limpet.port).get("/hub/home").status == 301
        assert limpet.sessions("jupyter_users") == 0
