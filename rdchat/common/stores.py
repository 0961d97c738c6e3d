"""Where the stores are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the stores; `embedded` says whether the database is a private one."""

    database_url: str
    redis_url: str
    embedded: bool
