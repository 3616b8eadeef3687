"""Steady requests from several clients at once, on kept connections and fresh ones; every failure is remembered."""
import threading

from client import Connection, get
from waiting import wait_until


class Crowd:
    """Clients that come without end, each in a thread of its own: `come(number)` is called again and again until `over` is set.

    `with …: crowd.more(200)`: leaving fails if anything has failed, whatever it was.
    """

    def __init__(self, clients):
        self.served, self.failures, self.over = 0, [], threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]

    def come(self, number):
        raise NotImplementedError

    def _run(self, number):
        while not self.over.is_set():
            try:
                self.come(number)
            except Exception as error:  # whatever it is, it is a failed request
                self.note(repr(error))

    def note(self, failure=None):
        """One answer more, or a failure."""
        with self._lock:
            if failure is None:
                self.served += 1
            else:
                self.failures.append(failure)

    def more(self, answers=100):
        """Waits for so many further answers."""
        wanted = self.served + answers
        wait_until(lambda: self.served >= wanted or self.failures, f"{answers} answers")

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.over.set()
        for thread in self._threads:
            thread.join()
        if kind is None:
            assert not self.failures, (len(self.failures), self.served, self.failures[:5])


class Load(Crowd):
    """`check(response, cookies)` says whether an answer is right for who sent those. Half of the clients keep their connection
    as long as it is kept.
    """

    def __init__(self, port, path="/", clients=4, check=lambda response, cookies: response.status == 200, cookies=None):
        super().__init__(clients)
        self.port, self.path, self.check, self.cookies = port, path, check, cookies

    def come(self, number):
        cookie = self.cookies[number % len(self.cookies)] if self.cookies else None
        if number % 2:
            return self._judge(get(self.port, self.path, cookies=cookie), cookie)
        headers = [("Cookie", "; ".join(f"{name}={value}" for name, value in cookie.items()))] if cookie else []
        with Connection(self.port) as connection:
            while not self.over.is_set():
                response = connection.request(self.path, headers=headers)
                self._judge(response, cookie)
                if response.header("connection") == "close":
                    return

    def _judge(self, response, cookie):
        good = self.check(response, cookie)
        self.note()
        if not good:
            self.note(f"{response.status} {response.body[:80]!r}")
