#!/usr/bin/python3
"""Takes the picture of the dashboard for README.md: LIMPET_BINARY=build/limpet tests/docs/picture.py docs/page.png. A limpet with three
servers, sessions at each; one of them drains, and a fourth is away. Needs Chromium."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import browser  # noqa: E402
from client import get  # noqa: E402
from daemon import Limpet  # noqa: E402
from origin import Origin, Reply  # noqa: E402
from ports import free_port  # noqa: E402

CONFIG = """
worker_processes 2;
events { worker_connections 1024; }
http {
    upstream shop {
        zone shop 512k;
        server 127.0.1.1:{origin} route=a;
        server 127.0.1.2:{origin} route=b;
        server 127.0.1.3:{origin} route=c;
        server 127.0.1.4:{nobody} route=d;
        least_sessions;
        sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=sessions:64k timeout=1h;
    }
    server {
        listen {port};
        location / { proxy_pass http://shop; }
        location @check { proxy_pass http://shop; health_check interval=1s; }
        location /status/ { api /status/ write=on; }
        location /dashboard/ { dashboard /status/; }
    }
}
"""


def answer(request):
    return Reply(b"hello", headers=[("Set-Cookie", f"id={request.target[1:]}")])


def main():
    browser.install()
    with Origin(respond=answer, address="0.0.0.0") as origin, Limpet(CONFIG, origin=origin.port, nobody=free_port()) as limpet:
        limpet.wait_log("peer is unhealthy")
        for i in range(1700):
            assert get(limpet.port, f"/session-{i}").status == 200
        for i in range(0, 1700, 3):
            assert get(limpet.port, f"/session-{i}", cookies={"id": f"session-{i}"}).status == 200
        subprocess.run(limpet.command("drain", "shop", "c", "--deadline", "30m"), check=True, stdout=subprocess.DEVNULL)
        script = f"""await refreshed(2);
            await page.screenshot({{path: {os.path.abspath(sys.argv[1])!r}, clip: {{x: 0, y: 0, width: 1280, height: 860}}}});"""
        browser.drive(f"http://127.0.0.1:{limpet.port}/dashboard/", script, viewport={"width": 1280, "height": 860},
                      deviceScaleFactor=0.75)


if __name__ == "__main__":
    main()
