"""Waiting for something to become true, with a bound."""
import os
import time

# Sanitizer builds and busy machines are slow; a test that fails may take long, one that passes never waits this long.
PATIENCE = float(os.environ.get("LIMPET_TEST_PATIENCE", "20"))


def wait_until(condition, what, patience=PATIENCE):
    """Returns the condition's first true value; fails after `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience} s in vain for {what}")
        time.sleep(0.01)
