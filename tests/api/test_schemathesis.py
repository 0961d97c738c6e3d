"""The service does what its OpenAPI document says: schemathesis tries it, with all of its checks.

It invents requests from the document alone (the examples, the borders of every field, random ones, sequences
of them) and looks at each answer: statuses, headers, media types, schemas, what is accepted and what is not.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from handlers.app import ROUTES, api_document
from handlers.schemas import parts
from rdchat.tokens import Role
from tests.support import fuzzing
from tests.support.sessions import reaches
from tests.support.soon import in_days, session_soon

if TYPE_CHECKING:
    from tests.support.service import Person, Service

#: How many requests are made of each kind for each operation, beside the borders of its fields.
_EXAMPLES = 12
#: What a role cannot succeed with although the route lets it in.
_NEVER: dict[Role, set[str]] = {
    Role.CLIENT: set(),
    Role.PSYCHOLOGIST: set(),
    # No content, state only; and no session to end.
    Role.SUPER_ADMIN: {"get_ably_token", "send_message", "get_history", "set_typing", "end_session"},
}


async def world(service: Service) -> tuple[dict[Role, Person], dict[str, str]]:
    """The story of the examples, as far as ids can be chosen: people who are in an open session.

    Returns them, and the ids that stand for the story's.
    """
    people = {
        Role.CLIENT: service.person(Role.CLIENT, "Budi", person_id=UUID(parts.CLIENT_ID)),
        Role.PSYCHOLOGIST: service.person(Role.PSYCHOLOGIST, "Sari", person_id=UUID(parts.PSYCHOLOGIST_ID)),
        Role.SUPER_ADMIN: service.person(Role.SUPER_ADMIN, "Admin"),
    }
    created = await people[Role.SUPER_ADMIN].put(
        f"/psychologists/{parts.PSYCHOLOGIST_ID}", {"fullName": "Sari"}
    )
    assert created.status == 201
    client = people[Role.CLIENT]
    session_id = await session_soon(client, 1, 3000, psychologistId=parts.PSYCHOLOGIST_ID)
    await reaches(client, session_id, "active")
    # Another one, so that ending the session leaves it to be cancelled.
    later = in_days(40)
    booked = await client.book(later, later + timedelta(hours=1), psychologistId=parts.PSYCHOLOGIST_ID)
    return people, {
        parts.SESSION_ID: session_id,
        parts.COUNSELING_ID: booked.data["id"],
        # A day that can be booked.
        parts.DATE: f"{in_days(30):%Y-%m-%d}",
    }


# A quarter of a minute on two processors that have nothing else to do.
@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", [Role.CLIENT, Role.PSYCHOLOGIST, Role.SUPER_ADMIN])
async def test_the_service_is_what_its_document_says(service: Service, tmp_path: Path, role: Role) -> None:
    people, ids = await world(service)
    stranger = service.person(Role.CLIENT, "Orang")
    text = json.dumps(api_document())
    for example, existing in ids.items():
        text = text.replace(example, existing)
    (tmp_path / "openapi.json").write_text(text, encoding="utf-8")
    users = {role.value: people[role].token, "stranger": stranger.token}
    wfc = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token}"}]}
        for name, token in users.items()
    ]
    auth = tmp_path / "auth.json"
    auth.write_text(json.dumps({"auth": wfc}), encoding="utf-8")
    config, seen = tmp_path / "schemathesis.toml", tmp_path / "seen"
    # An administrator's things are everybody's: psychologists, for all to see.
    peers = list(users) if role is not Role.SUPER_ADMIN else []
    told = fuzzing.configuration(json.loads(text), tmp_path, auth=auth, user=role.value, peers=peers)
    config.write_text(told, encoding="utf-8")
    command = ["run", "openapi.json", "--url", service.base, "--checks", "all", "--no-color"]
    schemathesis = await asyncio.create_subprocess_exec(
        *(Path(sys.executable).with_name("schemathesis"), "--config-file", config, *command),
        *("-n", str(_EXAMPLES)),
        cwd=tmp_path,
        env=os.environ | fuzzing.environment(seen),
        stdout=PIPE,
        stderr=STDOUT,
    )
    output, _ = await schemathesis.communicate()
    assert schemathesis.returncode == 0, output.decode()
    # A service that refused everything would be no proof.
    answered = fuzzing.seen(seen)
    unreached = {
        route.operation
        for route in ROUTES
        if role in route.roles and not any(status < 300 for status in answered.get(route.operation, {}))
    }
    assert unreached == _NEVER[role], output.decode()
