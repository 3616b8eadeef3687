import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))


@pytest.fixture(scope="module")
def limpet(request):
    """What became of each case of the module's TABLE."""
    return request.module.TABLE.under_limpet()


@pytest.fixture(scope="module")
def nginx(request):
    """The same under nginx, where it is installed."""
    return request.module.TABLE.under_nginx()
