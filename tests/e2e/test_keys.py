"""The keys that encrypt what is stored, on the command line: looked at, changed, and found to be wrong."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from rdchat.common.telemetry import Metrics
from rdchat.postgres import pool
from rdchat.postgres.data_keys import DataKeys, person_owner
from rdchat.security.encryption import KeyRing
from tests.support.database_users import as_owner
from tests.support.program import run
from tests.support.service import SECRET

if TYPE_CHECKING:
    from pathlib import Path

# One after another: these start programs all the time, which wakes two cores for a second each.
pytestmark = [pytest.mark.xdist_group("programs"), pytest.mark.usefixtures("commands")]

OLD, NEW, WRONG = (hashlib.sha256(name).digest() for name in (b"old", b"new", b"wrong"))


def entry(kid: str, key: bytes) -> str:
    return f"{kid}:{base64.b64encode(key).decode()}"


def stores(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        "RDCHAT_DATABASE_URL": database_url,
        "RDCHAT_MIGRATE_DATABASE_URL": as_owner(database_url),
        "RDCHAT_REDIS_URL": redis_url,
        "RDCHAT_JWT_SECRET": SECRET,
        "RDCHAT_ABLY_LOCAL_PORT": "0",
    }


async def test_a_key_is_changed_step_by_step(database_url: str, redis_url: str, tmp_path: Path) -> None:
    own = stores(database_url, redis_url)
    old, new = entry("old", OLD), entry("new", NEW)
    database = await pool.connect(database_url, size=2)
    async with pool.acquire(database) as connection:
        keys = DataKeys(KeyRing({"old": OLD}), Metrics())
        await keys.create(connection, [person_owner(uuid4()) for _ in range(3)])
    await pool.close(database)

    status, output = await run(tmp_path, "keys", "status", **own, RDCHAT_ENCRYPTION_KEYS=old)
    assert (status, output.split()[:4]) == (0, ["old", "3", "data", "keys"])
    status, output = await run(tmp_path, "keys", "rewrap", **own, RDCHAT_ENCRYPTION_KEYS=f"{new},{old}")
    assert status == 0, output
    assert "3 data keys are wrapped with new now." in output
    status, output = await run(tmp_path, "keys", "status", **own, RDCHAT_ENCRYPTION_KEYS=f"{new},{old}")
    assert "wraps new data keys" in output
    status, output = await run(tmp_path, "keys", "status", **own, RDCHAT_ENCRYPTION_KEYS=new)
    assert status == 0, output

    # A missing key, and another one of the same name, are named by each command, and end the start.
    for given, said in (
        (old, "the key 'new' is missing"),
        (entry("new", WRONG), "the key 'new' is not the one"),
    ):
        for command in (("keys", "rewrap"), ("doctor",), ("serve",)):
            status, output = await run(tmp_path, *command, **own, RDCHAT_ENCRYPTION_KEYS=given)
            assert status == 1, output
            assert said in " ".join(output.split()), output
            assert "Traceback" not in output
        assert (await run(tmp_path, "keys", "status", **own, RDCHAT_ENCRYPTION_KEYS=given))[0] == 1


async def test_a_new_key_is_made_and_what_to_do_with_it_said(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    own = stores(database_url, redis_url)
    status, output = await run(tmp_path, "keys", "rotate", **own, RDCHAT_ENCRYPTION_KEYS=entry("old", OLD))
    assert status == 0, output
    made = output.splitlines()[0]
    kid, _, key = made.partition(":")
    assert len(base64.b64decode(key)) == 32
    assert kid.startswith("k20")
    assert output.index("END of RDCHAT_ENCRYPTION_KEYS") < output.index("FRONT") < output.index("rewrap")
    given = {"RDCHAT_ENCRYPTION_KEYS": entry("old", OLD)}
    status, output = await run(tmp_path, "keys", "rotate", "--id", "old", **own, **given)
    assert (status, "There is a key 'old' already" in output) == (1, True)


async def test_in_development_a_new_key_is_put_into_use(tmp_path: Path) -> None:
    assert (await run(tmp_path, "keys", "status"))[0] == 0
    status, output = await run(tmp_path, "keys", "rotate", "--id", "second")
    assert status == 0, output
    secrets = json.loads((tmp_path / "secrets.json").read_text())
    assert [one.partition(":")[0] for one in secrets["encryption_keys"].split(",")] == ["second", "dev1"]
    assert not [entry for entry in secrets["encryption_keys"].split(",") if entry in output]
    status, output = await run(tmp_path, "keys", "rewrap")
    assert status == 0, output
    status, output = await run(tmp_path, "keys", "status")
    assert (status, output.count("wraps new data keys")) == (0, 1)


async def test_keys_come_from_a_command(database_url: str, redis_url: str, tmp_path: Path) -> None:
    own = stores(database_url, redis_url)
    script = tmp_path / "keys.py"
    script.write_text(f"print({entry('stored', NEW)!r})")
    given = {"RDCHAT_ENCRYPTION_KEYS_COMMAND": f"{sys.executable} {script}"}
    status, output = await run(tmp_path, "keys", "status", **own, **given)
    assert (status, output.split()[0]) == (0, "stored")
    for broken in ("import sys; sys.exit(3)", "pass", "print('secret-nonsense')"):
        script.write_text(broken)
        status, output = await run(tmp_path, "keys", "status", **own, **given)
        assert (status, "RDCHAT_ENCRYPTION_KEYS" in output) == (2, True)
        assert "secret-nonsense" not in output
    status, output = await run(
        tmp_path, "keys", "status", **own, RDCHAT_ENCRYPTION_KEYS_COMMAND="/no/such/store"
    )
    assert (status, "RDCHAT_ENCRYPTION_KEYS_COMMAND: the command failed (FileNotFoundError)." in output) == (
        2,
        True,
    )
