"""What operators do with the audit on the command line: look at it, and see that it is as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdchat.common.clock import iso
from rdchat.operations.administration import make_keys, opened_database
from rdchat.postgres import audit
from rdchat.postgres.audit_check import check_audit
from rdchat.postgres.audit_checkpoints import audit_signer
from rdchat.postgres.key_checks import check_ring
from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from config import Settings
    from rdchat.common.stores import Addresses
    from rdchat.domain.audit import AuditFilter


async def verify_audit(
    settings: Settings, addresses: Addresses, *, kept: Path | None, say: Callable[[str], None]
) -> tuple[list[str], bool]:
    """Look at every row, link and checkpoint. Return what was found, a line each, and whether it holds.

    `kept`: a file of checkpoints that lay outside of the database; by default that of the settings, if it is
    there. Raise WrongKeyError, UnavailableError, OSError.
    """
    keys = make_keys(settings)
    outside = kept or settings.audit_checkpoints
    lines = []
    if outside is not None and (kept is not None or outside.exists()):
        lines = outside.read_text(encoding="ascii").splitlines()
    async with opened_database(addresses, settings) as pool, acquire(pool) as connection:
        await check_ring(connection, keys.ring)
        service = await keys.get_service_key(connection)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            report = await check_audit(
                connection,
                service,
                public_key=audit_signer(service).public_key,
                kept=lines,
                say=lambda rows: say(f"{rows:,} rows looked at"),
            )
    found = [f"WRONG: {finding}" for finding in report.findings]
    if report.more:
        found.append(f"and {report.more:,} more")
    found.append(
        f"{report.rows:,} rows, {report.checkpoints:,} checkpoints"
        + (f", of these {len(lines):,} kept in {outside}" if lines else ", none of them kept outside")
        + (": all as it was written" if report.holds else "")
    )
    return found, report.holds


async def list_audit(
    settings: Settings, addresses: Addresses, *, wanted: AuditFilter, limit: int
) -> list[str]:
    """List the latest entries, oldest first, a line each. Raise UnavailableError."""
    keys = make_keys(settings)
    async with opened_database(addresses, settings) as pool:
        rows = await audit.list_entries(pool, wanted, before=None, limit=limit, keys=keys)
    lines = []
    for row in reversed(rows):
        who = str(row.actor_id) if row.actor_id is not None else "-"
        about = [
            f"{name}={one}"
            for name, one in (("session", row.session_id), ("subject", row.subject_id))
            if one is not None
        ]
        if row.occurrences > 1:
            about.append(f"times={row.occurrences}")
        about += [f"{name}={text!r}" for name, text in (row.detail or {}).items()]
        lines.append(
            f"{iso(row.at)}  {row.kind:<17}  {row.action}  {row.outcome}  by {who}  {' '.join(about)}"
        )
    return lines or ["Nothing yet."]


async def get_public_key(settings: Settings, addresses: Addresses) -> bytes:
    """Return the public key that checkpoints and receipts are verified with."""
    keys = make_keys(settings)
    async with opened_database(addresses, settings) as pool, acquire(pool) as connection:
        return audit_signer(await keys.get_service_key(connection)).public_key
