"""Where the stores are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the stores; `embedded` says whether the database is a private one.

    `owner_url` is where the schema's owner connects, for migrations, if that is not the service's own role.
    """

    database_url: str
    redis_url: str
    embedded: bool
    owner_url: str | None = None
