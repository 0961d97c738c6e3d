"""`run.py database roles` and `run.py migrate` with two roles, as an operator uses them."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rdchat.local import stores
from tests.support.database_users import OWNER, SERVICE, as_owner, as_service
from tests.support.service import SECRET, service_environment, service_settings

if TYPE_CHECKING:
    from pathlib import Path

_ROOT = stores.__file__.rpartition("/rdchat/")[0]


async def test_an_administrator_makes_the_roles_and_the_owner_migrates(
    empty_url: str, redis_url: str, tmp_path: Path
) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RDCHAT_", "PG"))}
    environment = inherited | service_environment(service_settings(tmp_path))
    environment |= {
        "RDCHAT_DATABASE_URL": as_service(empty_url),
        "RDCHAT_MIGRATE_DATABASE_URL": as_owner(empty_url),
        "RDCHAT_REDIS_URL": redis_url,
        "RDCHAT_ABLY_LOCAL_PORT": "0",
    }

    async def run(*arguments: str, **more: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "run.py", *arguments),
            cwd=_ROOT,
            env=environment | more,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

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
