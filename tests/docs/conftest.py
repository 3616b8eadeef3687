import os
import sys

for folder in ("../support", "."):
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), folder))

import pytest  # noqa: E402

from origin import Origin  # noqa: E402


@pytest.fixture
def origins():
    """Makes origins that are stopped when the test ends: `a, b = origins("a", "b")`."""
    made = []

    def make(*names):
        these = [Origin(name) for name in names]
        made.extend(these)
        return these

    yield make
    for origin in made:
        origin.stop()
