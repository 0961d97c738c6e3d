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
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import pytest

from handlers.schemas import parts
from handlers.server.application import ROUTES, api_document
from rdchat.domain.permissions import OVERSEERS
from rdchat.domain.person import Role
from tests.support import fuzzing
from tests.support.forms import photo, upload
from tests.support.service import Service, service_settings
from tests.support.sessions import reaches
from tests.support.soon import in_days, session_soon

if TYPE_CHECKING:
    from tests.support.service import Person

#: How many requests are made of each kind for each operation, beside the borders of its fields.
_EXAMPLES = 12
#: What a role need not succeed with although the route lets it in.
_NEVER: dict[Role, set[str]] = {
    # No one makes up a link that opens something.
    Role.CLIENT: {"download_attachment", "extend_session"},
    # Schemathesis ends whatever it finds in a list, sometimes before it has tried these.
    Role.PSYCHOLOGIST: {
        "download_attachment",
        "extend_session",
        "reschedule_counseling",
        "reassign_counseling",
    },
    # No content, state only, of what is not their own.
    Role.SUPERVISOR: {
        *("get_ably_token", "send_message", "upload_message", "get_history", "get_transcript", "set_typing"),
        *("end_session", "extend_session", "read_session", "read_notification", "list_readers"),
        *("get_attachment", "download_attachment", "reschedule_counseling", "cancel_counseling"),
        "export_person",
    },
    # No content, state only, except of what they happen to book for themselves.
    Role.SUPER_ADMIN: {
        *("send_message", "upload_message", "get_history", "get_transcript", "set_typing"),
        *("end_session", "extend_session", "read_session", "read_notification", "list_readers"),
        *("get_attachment", "download_attachment"),
        # The person of the examples was never seen.
        *("erase_person", "hold_person", "export_person"),
    },
}

#: What ends something has something of its own to end.
_ENDING = {"end_session", "cancel_counseling", "delete_quick_reply"}


@dataclass(frozen=True)
class World:
    """The people of the story, what its ids and days are here, and what they are where something ends."""

    people: dict[Role, Person]
    ids: dict[str, str]
    ends: dict[str, str]

    def document(self) -> dict[str, Any]:
        """The document of the service, about what is there."""
        document = api_document()
        for item in document["paths"].values():
            for method, operation in item.items():
                ids = self.ids | self.ends if operation["operationId"] in _ENDING else self.ids
                item[method] = _about(operation, ids)
        return cast("dict[str, Any]", _about(document, self.ids))


def _about(part: dict[str, Any], ids: dict[str, str]) -> Any:
    text = json.dumps(part)
    for example, existing in ids.items():
        text = text.replace(example, existing)
    return json.loads(text)


async def world(service: Service, role: Role) -> World:
    """The story of the examples, as far as ids can be chosen: people who are in open sessions.

    The notification is that of `role`.
    """
    people = {
        Role.CLIENT: service.person(
            Role.CLIENT,
            "Budi",
            person_id=UUID(parts.CLIENT_ID),
            organization_id=UUID(parts.ORGANIZATION_ID),
        ),
        Role.SUPERVISOR: service.person(
            Role.SUPERVISOR, "Penyelia", organization_id=UUID(parts.ORGANIZATION_ID)
        ),
        Role.PSYCHOLOGIST: service.person(Role.PSYCHOLOGIST, "Sari", person_id=UUID(parts.PSYCHOLOGIST_ID)),
        Role.SUPER_ADMIN: service.person(Role.SUPER_ADMIN, "Admin"),
    }
    created = await people[Role.SUPER_ADMIN].put(
        f"/psychologists/{parts.PSYCHOLOGIST_ID}", {"fullName": "Sari"}
    )
    assert created.status == 201
    client = people[Role.CLIENT]
    session_id, to_end = [
        await session_soon(client, 1, 3000, psychologistId=parts.PSYCHOLOGIST_ID) for _ in range(2)
    ]
    for one in (session_id, to_end):
        await reaches(client, one, "active")
    later = in_days(40)
    booked, to_cancel = [
        await client.book(later, later + timedelta(hours=1), psychologistId=parts.PSYCHOLOGIST_ID)
        for _ in range(2)
    ]
    # Moved by the psychologist, so that the client is told something as well.
    moved = await people[Role.PSYCHOLOGIST].put(
        f"/counselings/{booked.data['id']}/reschedule",
        {"date": f"{in_days(41):%Y-%m-%d}", "startTime": "09:00", "endTime": "10:00"},
    )
    assert moved.status == 200, moved.json
    sent = await upload(client, session_id, photo())
    kept = [
        await people[Role.PSYCHOLOGIST].post("/quick-replies", {"title": "Salam", "text": "Halo"})
        for _ in range(2)
    ]
    told = (await people[role].get("/notifications")).data["data"]
    ids = {
        parts.ATTACHMENT_ID: sent.data["attachment"]["id"],
        parts.NOTIFICATION_ID: told[0]["id"] if told else parts.NOTIFICATION_ID,
        parts.QUICK_REPLY_ID: kept[0].data["id"],
        parts.SESSION_ID: session_id,
        parts.COUNSELING_ID: booked.data["id"],
        # Days that can be booked.
        parts.DATE: f"{in_days(30):%Y-%m-%d}",
        parts.NEXT_DATE: f"{in_days(31):%Y-%m-%d}",
    }
    ends = {
        parts.SESSION_ID: to_end,
        parts.COUNSELING_ID: to_cancel.data["id"],
        parts.QUICK_REPLY_ID: kept[1].data["id"],
    }
    return World(people, ids, ends)


# A minute on two processors that have nothing else to do.
@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", [Role.CLIENT, Role.PSYCHOLOGIST, Role.SUPERVISOR, Role.SUPER_ADMIN])
async def test_the_service_is_what_its_document_says(
    database_url: str, redis_url: str, tmp_path: Path, role: Role
) -> None:
    # Two sessions at a time, so that one can be ended while the other goes on.
    settings = service_settings(tmp_path, max_active_per_client=2)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        await _try(service, tmp_path, role)


def _uncovered() -> dict[str, str]:
    """Give the environment without what counts another program's lines, which doubles its time."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


async def _try(service: Service, tmp_path: Path, role: Role) -> None:
    here = await world(service, role)
    stranger = service.person(Role.CLIENT, "Orang")
    document = here.document()
    (tmp_path / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    users = {role.value: here.people[role].token, "stranger": stranger.token}
    wfc = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token}"}]}
        for name, token in users.items()
    ]
    auth = tmp_path / "auth.json"
    auth.write_text(json.dumps({"auth": wfc}), encoding="utf-8")
    config, seen = tmp_path / "schemathesis.toml", tmp_path / "seen"
    # An administrator's things are everybody's: psychologists, for all to see.
    peers = list(users) if role not in OVERSEERS else []
    told = fuzzing.configuration(document, tmp_path, auth=auth, user=role.value, peers=peers)
    config.write_text(told, encoding="utf-8")
    command = ["run", "openapi.json", "--url", service.base, "--checks", "all", "--no-color"]
    schemathesis = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), *command),
        *("-n", str(_EXAMPLES)),
        cwd=tmp_path,
        env=_uncovered() | fuzzing.environment(seen),
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
    assert unreached <= _NEVER[role], output.decode()
