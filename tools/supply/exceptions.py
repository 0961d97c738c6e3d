"""What is found and let pass, with the reasons: `exceptions.toml`, beside this module."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from datetime import date

FILE: Final = Path(__file__).with_name("exceptions.toml")


class Accepted(NamedTuple):
    """A known vulnerability that does not reach us."""

    id: str
    reason: str
    until: date


class FalseAlarm(NamedTuple):
    """What looks like a secret and guards nothing."""

    rule: str
    sha256: str
    reason: str


def accepted_advisories(file: Path = FILE) -> list[Accepted]:
    """Return the advisories that are let pass."""
    entries = tomllib.loads(file.read_text(encoding="utf-8")).get("advisory", [])
    return [Accepted(**entry) for entry in entries]


def false_alarms(file: Path = FILE) -> list[FalseAlarm]:
    """Return what is no secret."""
    entries = tomllib.loads(file.read_text(encoding="utf-8")).get("false_alarm", [])
    return [FalseAlarm(**entry) for entry in entries]
