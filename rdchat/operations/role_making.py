"""`run.py database roles`: the roles that the settings name, as SQL, or made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.postgres.database_roles import DatabaseRole, roles_script, run_script

if TYPE_CHECKING:
    from config import Settings

#: Where no address names them.
OWNER: Final = "rdchat_owner"
SERVICE: Final = "rdchat_service"


def script_of(settings: Settings, *, owner: str | None, service: str | None, schema: str) -> str:
    """Return the SQL that makes the roles of the two addresses, with their passwords as verifiers.

    With one address alone, its role stays the owner and the service gets one without a password. Names that
    are given come first. Raise RdchatError for names, passwords or a schema that cannot be used.
    """
    try:
        found = _role_of(settings.database_url)
        if settings.migrate_database_url is None:
            owns, serves = (DatabaseRole(found.name) if found else DatabaseRole(OWNER)), DatabaseRole(SERVICE)
        else:
            owns = _role_of(settings.migrate_database_url) or DatabaseRole(OWNER)
            serves = found or DatabaseRole(SERVICE)
        return roles_script(
            DatabaseRole(owner) if owner and owner != owns.name else owns,
            DatabaseRole(service) if service and service != serves.name else serves,
            schema=schema,
        )
    except ValueError as error:
        raise RdchatError(ErrorCode.BAD_REQUEST, str(error)) from None


async def make_roles(settings: Settings, script: str) -> None:
    """Run the SQL as PGUSER, if that is set, with PGPASSWORD or what ~/.pgpass has; else as the owner.

    Raise RdchatError when PostgreSQL refuses, UnavailableError when it does not answer.
    """
    url = settings.migrate_database_url or settings.database_url
    if url is None:
        raise RdchatError(ErrorCode.BAD_REQUEST, "The private database has its roles already.")
    await run_script(_without_role(url) if os.environ.get("PGUSER") else url, script)


def _role_of(url: str | None) -> DatabaseRole | None:
    parts = urlsplit(url or "")
    if not parts.username:
        return None
    return DatabaseRole(unquote(parts.username), unquote(parts.password) if parts.password else None)


def _without_role(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
