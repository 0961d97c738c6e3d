"""People who were stopped try every route there is, on both replicas: nothing is done for them any more."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from handlers.server.application import ROUTES
from rdchat.domain.person import Role
from tests.support.bases import request_of
from tests.support.envelope import envelope_fault
from tests.support.pair import a_pair
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.attacks import Attacks
    from tests.support.pair import Pair
    from tests.support.service import Person

STATUS = {"deactivated": 403, "revoked": 401, "of another role": 403}


async def stopped(pair: Pair, how: str, role: Role) -> Person:
    """A person whose token was good a moment ago."""
    admin, victim = pair.one.person(Role.SUPER_ADMIN, "Admin"), pair.one.person(role)
    assert (await victim.get("/psychologists")).status == 200
    path = f"/people/{victim.id}"
    if how == "deactivated":
        reply = await admin.put(path, {"isActive": False})
    elif how == "revoked":
        reply = await admin.post(f"{path}/revoke", {})
    else:
        reply = await admin.put(path, {"role": "student" if role is not Role.STUDENT else "employee"})
    assert reply.status == 200
    number = pair.one.runtime.access.change
    await until(lambda: pair.other.runtime.access.change >= number)
    return victim


@pytest.mark.parametrize("how", STATUS)
async def test_who_was_stopped_gets_nothing_anywhere(
    tmp_path: Path, database_url: str, redis_url: str, attacks: Attacks, how: str
) -> None:
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as pair:
        tried, through = 0, []
        for role in Role:
            victim = await stopped(pair, how, role)
            for one in (victim, pair.elsewhere(victim)):
                for route in ROUTES:
                    if route.public:
                        continue
                    path, options = request_of(route, {"person": str(uuid4())})
                    reply = await one.call(route.method, path, **options)
                    tried += 1
                    if reply.status != STATUS[how] or envelope_fault(reply) is not None:
                        through.append(f"{role} {route.method} {path}: {reply.status}")
        attacks.count(f"stopped people: {how}", tried=tried, through=through)
