"""What the database admits is what the code knows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rdchat.domain.message import MessageType
from rdchat.domain.person import Role
from rdchat.postgres import counselings
from statemachine import AutomationKind, AutomationStatus, SessionOutcome, Status

if TYPE_CHECKING:
    from enum import StrEnum

    from rdchat.postgres.pool import Pool

_CHECKS = """
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND conrelid = $1::regclass
"""

_WRITTEN = Path(counselings.__file__).read_text(encoding="utf-8")
_COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_name = 'counselings'"


@pytest.mark.parametrize(
    ("table", "column", "known"),
    [
        ("people", "role", Role),
        ("messages", "message_type", MessageType),
        ("automations", "kind", AutomationKind),
        ("automations", "status", AutomationStatus),
        ("chat_sessions", "status", Status),
        ("chat_sessions", "outcome", SessionOutcome),
    ],
)
async def test_a_column_admits_every_value_of_its_enumeration(
    database: Pool, table: str, column: str, known: type[StrEnum]
) -> None:
    async with database.acquire() as connection:
        rows = await connection.fetch(_CHECKS, table)
    [admitted] = [
        set(re.findall(r"'(\w+)'::text", text))
        for (text,) in rows
        if re.match(rf"CHECK \(\({column} = ANY", text)
    ]
    where = f"rdchat/postgres/migrations/: a further file is needed, {table}.{column}"
    for one in known:
        assert one in admitted, f"{where} does not admit {one}"
    assert admitted == set(known), f"{where} admits what is not known"


async def test_every_column_of_counsellings_is_written(database: Pool) -> None:
    async with database.acquire() as connection:
        rows = await connection.fetch(_COLUMNS)
    assert len(rows) > 15
    for (name,) in rows:
        assert re.search(rf"\b{name}\b", _WRITTEN), f"rdchat/postgres/counselings.py: nothing writes {name}"
