"""A client that keeps cookies, as browsers do, with a connection of its own for each request: any worker may take it."""
import json
import urllib.error
import urllib.request
from http.cookiejar import CookieJar

from waiting import PATIENCE


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


class _Patient(urllib.request.HTTPErrorProcessor):
    """Errors are answers, and redirects are followed by the test."""

    def http_response(self, request, response):
        return response

    https_response = http_response


class BrowserClient:
    def __init__(self, port, scheme="http", context=None, **headers):
        self.cookies = CookieJar()
        self.base = f"{scheme}://127.0.0.1:{port}"
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        handlers = [_Patient(), urllib.request.HTTPCookieProcessor(self.cookies)]
        if context:
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self.opener = urllib.request.build_opener(*handlers)

    def request(self, path="/", method="GET", body=None, **headers):
        request = urllib.request.Request(self.base + path, data=body, method=method, headers={
            **self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}})
        with self.opener.open(request, timeout=PATIENCE) as response:
            return Answer(response)

    def get(self, path="/", **headers):
        return self.request(path, **headers)

    def post(self, path, body=b"", **headers):
        return self.request(path, "POST", body, **headers)

    def cookie(self, name):
        return next((cookie.value for cookie in self.cookies if cookie.name == name), None)

    def cookie_header(self):
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies)
