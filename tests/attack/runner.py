"""What the tables do alike: rows side by side in lanes, under limpet and under nginx, and the comparison of the two."""
import concurrent.futures

import pytest

from daemon import Limpet, fill_in
from oracle import Nginx, oracle
from ports import free_port
from reasons import REASONS


class Lane:
    """One row at a time: a backend and addresses of its own. Who derives says `run(row, place)`."""

    def __init__(self, number, port, backend):
        self.number, self.port, self.backend = number, port, backend

    def fill_in(self, text, **values):
        return fill_in(text, {"number": self.number, "port": self.port, "backend": self.backend.port, **values})


class Table:
    """The rows of a folder, the lanes they run in and the configuration that has a part for each lane ({servers}).

    `places(row)` says where a row runs; an outcome is known by the row's name and the place.
    """

    def __init__(self, rows, *, places, lane, lanes, config, files):
        self.rows, self.lane, self.lanes, self.config, self.files = rows, lane, lanes, config, files
        self.cases = [(name, place) for name, row in rows.items() for place in places(row)]

    def under_limpet(self):
        return self._outcomes(Limpet)

    def under_nginx(self):
        if oracle() is None:
            pytest.skip("no nginx that is new enough")
        return self._outcomes(Nginx)

    def _outcomes(self, kind):
        """Every row's outcome, by case."""
        port = free_port()
        lanes = [self.lane(number + 1, port) for number in range(self.lanes)]
        try:
            with self._start(kind, lanes) as server, concurrent.futures.ThreadPoolExecutor(self.lanes) as pool:
                results = {}
                for part in pool.map(self._run, lanes):
                    results |= part
                assert server.process.poll() is None
                return results
        finally:
            for lane in lanes:
                lane.backend.stop()

    def _start(self, kind, lanes):
        server = kind(self.config, servers="".join(lane.config() for lane in lanes), start=False)
        for name, text in self.files.items():
            server.write(text, name)
        server.start()
        return server

    def _run(self, lane):
        mine = self.cases[lane.number - 1::self.lanes]
        return {(name, place): lane.run(self.rows[name], place) for name, place in mine}


def check_nginx(row, place, outcome):
    """nginx does the same, or otherwise for a reason that is known."""
    expected, reason = row.nginx_outcome(place)
    assert outcome == expected
    assert expected == row.outcome(place) or reason in REASONS, "a difference needs its reason"
