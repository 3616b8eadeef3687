"""Pages that are open: WebSockets, uploads and media must reach one server (servers/streamlit_app.py imitates Streamlit)."""
import asyncio
import json
import os

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from browser_client import BrowserClient
from recipe import Recipe
from servers import python_servers

PAGES = 6


@pytest.fixture(scope="module")
def servers():
    with python_servers("streamlit_app.py", "a", "b") as these:
        yield these


class Page:
    """What Streamlit's page does in a browser."""

    def __init__(self, port):
        self.port, self.browser = port, BrowserClient(port)
        self.socket = self.session = self.server = None
        self.visits = 0

    async def open(self):
        """Also again: then with the session that it had."""
        assert self.browser.get("/_stcore/health").text == "ok"
        self.token = self.browser.cookie("_streamlit_xsrf")
        request = HTTPRequest(f"ws://127.0.0.1:{self.port}/_stcore/stream", headers={"Cookie": self.browser.cookie_header()})
        subprotocols = ["streamlit", self.token.replace("|", "."), *([self.session] if self.session else [])]
        self.socket = await websocket_connect(request, subprotocols=subprotocols)
        return self

    async def rerun(self):
        await self.socket.write_message("rerun")
        said = json.loads(await asyncio.wait_for(self.socket.read_message(), 20))
        self.visits += 1
        self.session, self.server = self.session or said["session"], self.server or said["server"]
        assert said == {"server": self.server, "session": self.session, "visits": self.visits}

    def upload(self, content):
        where = f"{self.session}/f{self.visits}"
        sent = self.browser.request(f"/_stcore/upload_file/{where}", "PUT", content, X_Xsrftoken=self.token)
        assert sent.status == 204
        for _ in range(3):
            assert self.browser.get(f"/media/{where}").body == content


async def check_pages(limpet):
    pages = [await Page(limpet.port).open() for _ in range(PAGES)]
    for page in pages:
        await page.rerun()
    assert {page.server for page in pages} == {"a", "b"}
    for page in pages:
        page.upload(os.urandom(100_000))
    await asyncio.to_thread(limpet.reload_beneath)
    for page in pages:
        await page.rerun()  # on the WebSocket that it had
        page.upload(os.urandom(100_000))
    for page in pages:
        page.socket.close()
        await page.open()   # the network was away: the page finds its session again
        await page.rerun()


def test_pages_stay(servers):
    with Recipe("streamlit", *servers) as limpet:
        asyncio.run(check_pages(limpet))
