"""Whom people can turn to when they cannot wait: shown at any time, whatever else is away."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from config import Organizations, organizations
from config.values import rate_limits
from rdchat.domain.person import Caller, Role
from tests.support.service import Person, Service, service_settings

if TYPE_CHECKING:
    from pathlib import Path

CAMPUS = UUID("6f1c2f0e-8a3b-4c59-9d7e-0b2a4c6d8e10")
FILE = f"""
[[default.crisis_contacts]]
name = "SEJIWA"
phone = "119 ext 8"
hours = "24/7"
reviewedAt = 2026-05-31
[organization."{CAMPUS}"]
language = "en"
[[organization."{CAMPUS}".crisis_contacts]]
name = "Kampus"
url = "https://campus.example/help"
text = {{ id = "Mereka datang.", en = "They come." }}
"""
FOR_ALL = {
    "name": "SEJIWA",
    "phone": "119 ext 8",
    "url": None,
    "hours": {"id": "24/7", "en": "24/7"},
    "text": None,
    "reviewedAt": "2026-05-31",
}


def member(service: Service, role: Role, organization_id: UUID | None) -> Person:
    caller = Caller(uuid4(), role, "Budi", organization_id=organization_id)
    token = service.runtime.tokens.issue(caller, lifetime=timedelta(hours=1))
    return Person(service.client, service.base, caller, token)


def read(tmp_path: Path) -> Organizations:
    path = tmp_path / "organizations.toml"
    path.write_text(FILE, encoding="utf-8")
    found, faults = organizations.read(path)
    assert faults == []
    return found


async def test_everyone_finds_the_contacts_of_their_organisation(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    settings = service_settings(tmp_path, organizations=read(tmp_path))
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        for role in Role:
            assert (await member(service, role, CAMPUS).get("/organization")).data == {
                "organizationId": str(CAMPUS),
                "language": "en",
                "crisisContacts": [
                    {
                        "name": "Kampus",
                        "phone": None,
                        "url": "https://campus.example/help",
                        "hours": None,
                        "text": {"id": "Mereka datang.", "en": "They come."},
                        "reviewedAt": None,
                    }
                ],
            }
            for other in (None, uuid4()):
                assert (await member(service, role, other).get("/organization")).data == {
                    "organizationId": str(other) if other else None,
                    "language": "id",
                    "crisisContacts": [FOR_ALL],
                }


async def test_they_are_found_without_postgresql_and_however_often(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    limits = rate_limits("default=3/minute")
    settings = service_settings(tmp_path, organizations=read(tmp_path), rate_limits=limits)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        client = member(service, Role.CLIENT, None)
        await service.runtime.pool.close()
        for _ in range(20):
            reply = await client.get("/organization")
            assert (reply.status, reply.data["crisisContacts"]) == (200, [FOR_ALL])
            assert "RateLimit" not in reply.headers
        assert (await client.get("/chat/sessions")).status == 503


async def test_without_a_token_and_without_stores_there_are_those_for_all(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    limits = rate_limits("default=3/minute")
    settings = service_settings(tmp_path, organizations=read(tmp_path), rate_limits=limits)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        await service.runtime.pool.close()
        for token in ({}, {"Authorization": "Bearer long gone"}) * 5:
            url = f"{service.base}/api/v1/crisis-contacts"
            async with service.client.get(url, headers=token) as answer:
                assert answer.status == 200
                assert (await answer.json())["data"] == {"crisisContacts": [FOR_ALL]}
                assert answer.headers["Cache-Control"] == "public, max-age=300, stale-if-error=604800"
                assert "RateLimit" not in answer.headers


async def test_without_a_file_there_are_none(service: Service) -> None:
    assert (await service.person().get("/organization")).data == {
        "organizationId": None,
        "language": "id",
        "crisisContacts": [],
    }
