"""`run.py privacy` beside a service that runs: export, hold, erase, receipt, status, retention."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.support.database_users import as_owner
from tests.support.erasing import NAME, WORDS, a_past, alarms
from tests.support.program import run
from tests.support.service import ENCRYPTION_KEY, SECRET
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Service

# One after another: these start programs all the time, which wakes two cores for a second each.
pytestmark = [pytest.mark.xdist_group("programs"), pytest.mark.usefixtures("commands")]


async def test_a_person_is_exported_held_and_erased_beside_the_service(
    service: Service, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    past = await a_past(service)
    organizations = tmp_path / "organizations.toml"
    organizations.write_text("[default]\nretention_days = 30\n")
    command = partial(
        run,
        service.runtime.settings.data_dir,
        "privacy",
        RDCHAT_DATABASE_URL=database_url,
        RDCHAT_MIGRATE_DATABASE_URL=as_owner(database_url),
        RDCHAT_REDIS_URL=redis_url,
        RDCHAT_JWT_SECRET=SECRET,
        RDCHAT_ENCRYPTION_KEYS=f"test:{base64.b64encode(ENCRYPTION_KEY).decode()}",
        RDCHAT_ORGANIZATIONS=str(organizations),
    )
    person = str(past.client.id)

    folder = tmp_path / "export"
    status, output = await command("export", person, "--to", str(folder), "--reason", "Diminta", "--files")
    assert status == 0, output
    exported = json.loads((folder / "export.json").read_text())
    assert exported["person"]["fullName"] == NAME
    chats = [one["chat"] for one in exported["counselings"]]
    assert {past.session_id} < {chat["id"] for chat in chats}
    assert f"{WORDS} 2" in str(chats)
    assert exported["notifications"]
    assert WORDS in (folder / "export.txt").read_text()
    assert [one.stem for one in (folder / "files").iterdir()] == [past.attachment]
    seen = await past.psychologist.get(f"/chat/sessions/{past.session_id}/access")
    assert "person_exported" in str(seen.json), "the other of the two can see it"

    assert (await command("hold", "--person", person, "--reason", "Perkara"))[0] == 0
    assert person in (await command("hold"))[1]
    status, output = await command("erase", person, "--reason", "Diminta")
    assert (status, "A legal hold on the person" in output, "Traceback" in output) == (1, True, False)
    assert (await command("hold", "--person", person, "--reason", "Selesai", "--lift"))[0] == 0
    status, output = await command("retain", "--all", "--dry-run")
    assert (status, output.splitlines()[-1]) == (0, "Nothing is due.")

    receipt = tmp_path / "receipt.json"
    status, output = await command("erase", person, "--reason", "Diminta", "--receipt", str(receipt))
    assert (status, "2 sessions" in output) == (0, True), output

    async def is_gone() -> bool:
        return WORDS not in str(await past.psychologist.history(past.session_id))

    await until(is_gone, 3.0)
    assert alarms(service) == 0
    assert (await command("verify-receipt", str(receipt)))[0] == 0
    receipt.write_text(receipt.read_text().replace('"sessions": 2', '"sessions": 3'))
    status, output = await command("verify-receipt", str(receipt))
    assert (status, "NOT VALID" in output) == (1, True)
    status, output = await command("status")
    assert (status, "full dumps from before open with test" in output) == (0, True), output
    assert (await command("erase", str(uuid4()), "--reason", "x"))[0] == 1
    assert (await command("erase", "--unfinished"))[1].splitlines()[-1] == "No erasure was interrupted."
