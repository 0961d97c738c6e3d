"""`run.py database roles` and `run.py migrate` with two roles, as an operator uses them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support import program
from tests.support.database_users import OWNER, SERVICE, as_owner, as_service
from tests.support.service import SECRET, service_environment, service_settings

if TYPE_CHECKING:
    from pathlib import Path

# Beside the others that start commands, which are forked from one process.
pytestmark = [pytest.mark.xdist_group("programs"), pytest.mark.usefixtures("commands")]


async def test_an_administrator_makes_the_roles_and_the_owner_migrates(
    empty_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = service_environment(service_settings(tmp_path)) | {
        "RDCHAT_DATABASE_URL": as_service(empty_url),
        "RDCHAT_MIGRATE_DATABASE_URL": as_owner(empty_url),
        "RDCHAT_REDIS_URL": redis_url,
        "RDCHAT_ABLY_LOCAL_PORT": "0",
    }
    # Who connects is said by the test alone.
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)

    async def run(*arguments: str, **more: str) -> tuple[int, str]:
        return await program.run(tmp_path, *arguments, **(settings | more))

    status, sql = await run("database", "roles")
    assert status == 0
    assert f'GRANT SELECT, INSERT ON TABLES TO "{SERVICE.name}"' in sql
    assert "PASSWORD 'SCRAM-SHA-256$4096:" in sql
    for secret in (OWNER.password, SERVICE.password, SECRET):
        assert str(secret) not in sql
    status, said = await run("queue")
    assert (status, "Run `run.py migrate`" in said, "Traceback" in said) == (1, True, False)
    admin = urlsplit(empty_url)
    who = {"PGUSER": admin.username or "", "PGPASSWORD": admin.password or ""}
    status, said = await run("database", "roles", "--apply", **who)
    assert status == 0, said
    status, said = await run("migrate", RDCHAT_MIGRATE_DATABASE_URL="")
    assert (status, "may not migrate" in said, "Traceback" in said) == (1, True, False)
    status, said = await run("migrate")
    assert (status, "applied 0074_operator_outcomes" in said) == (0, True), said
    status, said = await run("doctor")
    assert "could do without" not in said
    status, said = await run("queue")
    assert status == 0, said
    status, said = await run("database", "roles", "--owner", "a b")
    assert (status, "A role's name" in said, "Traceback" in said) == (1, True, False)
    # The owner alone may not make roles, unless an administrator lets it.
    status, said = await run("database", "roles", "--apply", "--service", "made_by_no_one")
    assert (status, "permission denied to create role" in said, "Traceback" in said) == (1, True, False)
