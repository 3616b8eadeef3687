"""Steady requests from several clients at once, on kept connections and fresh ones; every failure is remembered."""
import threading

from client import Connection, get
from waiting import wait_until


class Load:
    """`with Load(port) as load: …; load.more(200)`: leaving fails if any request has failed.

    `check(response, cookies)` says whether an answer is right for who sent those. Half of the clients keep their connection
    as long as it is kept.
    """

    def __init__(self, port, path="/", clients=4, check=lambda response, cookies: response.status == 200, cookies=None):
        self.port, self.path, self.check, self.cookies = port, path, check, cookies
        self.failures, self.served, self._over = [], 0, threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._fresh if number % 2 else self._kept, args=(number,))
                         for number in range(clients)]

    def _cookie(self, number):
        return self.cookies[number % len(self.cookies)] if self.cookies else None

    def _note(self, response, number):
        good = self.check(response, self._cookie(number))
        with self._lock:
            self.served += 1
            if not good:
                self.failures.append(f"{response.status} {response.body[:80]!r}")

    def _run(self, request):
        while not self._over.is_set():
            try:
                request()
            except Exception as error:  # whatever it is, it is a failed request
                with self._lock:
                    self.failures.append(repr(error))

    def _fresh(self, number):
        self._run(lambda: self._note(get(self.port, self.path, cookies=self._cookie(number)), number))

    def _kept(self, number):
        cookie = self._cookie(number)
        headers = [("Cookie", "; ".join(f"{name}={value}" for name, value in cookie.items()))] if cookie else []

        def request():
            with Connection(self.port) as connection:
                while not self._over.is_set():
                    response = connection.request(self.path, headers=headers)
                    self._note(response, number)
                    if response.header("connection") == "close":
                        return

        self._run(request)

    def more(self, requests=100):
        """Waits for so many further answers."""
        wanted = self.served + requests
        wait_until(lambda: self.served >= wanted or self.failures, f"{requests} requests")

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()
        if kind is None:
            assert not self.failures, (len(self.failures), self.served, self.failures[:5])
