"""Which dialect the tests' services speak, and their answers without what it puts beside them.

`TEST_DIALECT=ruangdiri pytest tests/api` runs all of the ordinary contract's tests with a dialect on.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

#: Of services that a test does not start with one of its own choice.
DIALECT: str | None = os.environ.get("TEST_DIALECT")
#: What stands beside the data when a counselling is booked.
_BESIDE_BOOKING = {"sessionId", "psychologistName"}


def ordinary(body: Any) -> Any:
    """An answer as the ordinary contract has it; what the dialect promises of every one must be there."""
    if DIALECT is None or not isinstance(body, dict) or "success" not in body:
        return body
    assert body["status"] == ("success" if body["success"] else "error"), body
    return {name: value for name, value in body.items() if name != "status" and name not in _BESIDE_BOOKING}


#: What the dialect publishes beside our own events.
_BESIDE_EVENTS = {"session_status", "read_receipt", "user_presence"}


def is_ours(event: str) -> bool:
    """Whether an event is of the ordinary contract; all are without a dialect."""
    return DIALECT is None or event not in _BESIDE_EVENTS


def ours_alone(changed: str) -> pytest.MarkDecorator:
    """Mark a test of something that the dialect has otherwise on purpose: `changed` says what, and why."""
    return pytest.mark.skipif(DIALECT is not None, reason=changed)


#: Has a test run in the ordinary contract, and with a dialect on.
both = pytest.mark.parametrize("service", [None, "ruangdiri"], indirect=True, ids=["ordinary", "ruangdiri"])
