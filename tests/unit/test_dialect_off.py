"""Off, a dialect is not even imported; on, it takes nothing away, and our document describes ours alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from handlers import dialects
from handlers.server.application import ROUTES, api_document
from rdchat.domain import permissions

ROOT = Path(__file__).parents[2]
_LOADED = """
import sys
import handlers.server.serving, handlers.server.supervising
print([name for name in sys.modules if "socketio" in name or "engineio" in name or "ruangdiri" in name])
"""


def test_off_nothing_of_it_is_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert dialects.find(None) is None


def test_on_every_route_of_ours_is_there_for_the_same_people() -> None:
    made = dialects.find("ruangdiri")
    assert made is not None
    served = {(route.method, route.path): route for route in made.routes(ROUTES)}
    for route in ROUTES:
        answered = served.pop((route.method, route.path))
        assert answered.operation == route.operation
        assert (answered.roles, answered.public, answered.recorded) == (
            route.roles,
            route.public,
            route.recorded,
        )
        changed = (route.method, route.path) == ("POST", "/chat/typing")
        assert (answered.rate == route.rate) is not changed
    assert served
    assert all(
        route.roles == permissions.EVERYONE_SIGNED_IN and not route.public for route in served.values()
    )
    assert all(route.rate is not None for route in served.values())
    # What is written down of those who run the service is written down by every path.
    for path, ours in (("reschedule", "PUT"), ("cancel", "POST")):
        assert served[ours, f"/counselings/schedules/{{id}}/{path}"].recorded is not None


def test_the_document_describes_ours_alone() -> None:
    described = {
        (method.upper(), path)
        for path, operations in api_document()["paths"].items()
        for method in operations
        if method in ("get", "post", "put", "delete", "patch")
    }
    ours = {(route.method, f"/api/v1{route.path}") for route in ROUTES}
    assert {one for one in described if one[1].startswith("/api/v1/")} == ours
