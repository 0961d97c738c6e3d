"""`run.py privacy`: what operators do with what is personal. Each function is one command."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from rdchat.common.clock import iso
from rdchat.common.errors import RdchatError
from rdchat.domain.erasure import ErasureKind, HoldSubject
from rdchat.domain.operator_action import Operator
from rdchat.operations.administration import opened_database
from rdchat.operations.audit_commands import get_public_key
from rdchat.operations.privacy.exporting import as_json_text, head_as_text, piece_as_text
from rdchat.operations.privacy.receipts import CheckedReceipt, check_receipt
from rdchat.postgres import erasures, legal_holds
from rdchat.runtime.commands import started
from rdchat.security.encryption import DecryptionError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path
    from uuid import UUID

    from config import Settings
    from rdchat.common.stores import Addresses
    from rdchat.domain.erasure import Erasure
    from rdchat.operations.privacy.exporting import ExportService, Piece

    #: The session of a file, and what is said of it.
    _File = tuple[UUID, dict[str, Any]]
    Say = Callable[[str], None]


async def export_person(
    settings: Settings,
    addresses: Addresses,
    person_id: UUID,
    *,
    folder: Path,
    reason: str,
    with_files: bool,
    say: Say,
) -> list[str]:
    """Write what is kept of a person into a new folder. Return what was written.

    Raise RdchatError (NOT_FOUND), OSError where the folder cannot be made.
    """
    operator = Operator(reason=reason)
    async with started(settings, addresses) as runtime:
        exports = runtime.privacy.exports
        facts = await exports.begin(operator, person_id)
        # What is in it was encrypted so far.
        await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True)
        at = runtime.clock.now()
        files: list[_File] = []
        with (folder / "export.json").open("xb") as data, (folder / "export.txt").open("xb") as text:
            text.write(head_as_text(facts, at))
            count = 0

            async def written() -> AsyncIterator[Piece]:
                nonlocal count
                async for piece in exports.pieces(operator, person_id):
                    text.write(piece_as_text(piece))
                    files.extend(_files_in(piece))
                    count += 1
                    if count % 100 == 0:
                        say(f"{count:,} counselings and notifications")
                    yield piece

            async for part in as_json_text(facts, written(), at):
                data.write(part)
        saved = await _write_files(exports, files, folder / "files", say) if with_files else 0
    return [f"{folder}: export.json and export.txt, {count:,} counselings and notifications, {saved:,} files"]


async def _write_files(exports: ExportService, files: list[_File], folder: Path, say: Say) -> int:
    await asyncio.to_thread(folder.mkdir)
    written = 0
    for session_id, file in files:
        try:
            content = await exports.read_file(session_id, file["id"])
        except DecryptionError:
            content = None
        if content is None:
            say(f"{file['id']} cannot be read")
            continue
        name = f"{file['id']}{PurePosixPath(file['fileName']).suffix}"
        await asyncio.to_thread((folder / name).write_bytes, content)
        written += 1
    return written


def _files_in(piece: Piece) -> list[_File]:
    chat: dict[str, Any] = piece[1].get("chat") or {"messages": []}
    return [(chat["id"], one["attachment"]) for one in chat["messages"] if one["attachment"] is not None]


async def erase_person(
    settings: Settings,
    addresses: Addresses,
    person_id: UUID,
    *,
    reason: str,
    receipt: Path | None,
    say: Say,
) -> list[str]:
    """Erase a person, or go on with it. Return what was done; the receipt is written to a file, or said.

    Raise RdchatError as `ErasureService.erase_person` does.
    """
    async with started(settings, addresses) as runtime:
        operator = Operator(reason=reason)
        erasure = await runtime.privacy.erasures.erase_person(operator, person_id, say=say)
    if receipt is not None:
        await asyncio.to_thread(receipt.write_text, f"{erasure.receipt}\n", "utf-8")
        return [_done(erasure), f"The receipt is in {receipt}."]
    return [_done(erasure), erasure.receipt or ""]


async def go_on(settings: Settings, addresses: Addresses, *, say: Say) -> list[str]:
    """Finish erasures that were interrupted. Return a line for each."""
    lines = []
    async with started(settings, addresses) as runtime:
        for erasure in await erasures.list_unfinished(runtime.pool):
            try:
                lines.append(_done(await runtime.privacy.erasures.go_on(erasure, say=say)))
            except RdchatError as error:
                lines.append(f"{erasure.id}  not finished: {error}")
    return lines or ["No erasure was interrupted."]


async def repeat(settings: Settings, addresses: Addresses) -> list[str]:
    """Erase again what has come back with a backup. Return how much that was."""
    async with started(settings, addresses) as runtime:
        counts = await runtime.privacy.erasures.repeat_all()
    return [f"erased again: {_counted({name: count for name, count in counts.items() if count})}"]


def _done(erasure: Erasure) -> str:
    return f"erased  {erasure.id}  {_counted(erasure.counts)}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())) or "nothing was left"


async def retain(
    settings: Settings, addresses: Addresses, *, only: UUID | None, dry_run: bool, say: Say
) -> list[str]:
    """End what has been kept for long enough, or list it. Return lines."""
    async with started(settings, addresses) as runtime:
        retention = runtime.privacy.retention
        if retention.organizations.retention() == (None, {}):
            return ["No retention is set: retention_days in the file of RDCHAT_ORGANIZATIONS."]
        if dry_run:
            run = await retention.find(only=only, say=say)
            lines = [
                f"would erase  {one.id}  over since {iso(one.over_at)}  {one.messages:,} messages"
                for one in run.due
                if one.over_at is not None
            ]
        else:
            run = await retention.apply(Operator(reason="retention"), only=only, say=say)
            lines = [_done(run.erasure)] if run.erasure is not None else []
    if run.held:
        lines.append(f"{run.held:,} more are kept by legal holds.")
    return lines or ["Nothing is due."]


async def change_hold(
    settings: Settings,
    addresses: Addresses,
    subject: tuple[HoldSubject, UUID],
    *,
    reason: str,
    lift: bool,
) -> list[str]:
    """Set or lift a legal hold. Return what holds now. Raise RdchatError (NOT_FOUND)."""
    operator = Operator(reason=reason)
    async with started(settings, addresses) as runtime:
        if lift:
            lifted = await runtime.privacy.holds.lift_hold(operator, *subject)
            return ["The hold is lifted." if lifted else "There is no hold on it."]
        hold = await runtime.privacy.holds.set_hold(operator, *subject)
    return [f"held since {iso(hold.set_at)}: {hold.subject_type} {hold.subject_id}"]


async def list_holds(settings: Settings, addresses: Addresses) -> list[str]:
    """List the legal holds that are in force."""
    async with opened_database(addresses, settings) as pool:
        found = await legal_holds.list_holds(pool)
    lines = [f"{iso(one.set_at)}  {one.subject_type:<7}  {one.subject_id}" for one in found]
    return lines or ["There are no legal holds."]


async def verify_receipt(settings: Settings, addresses: Addresses, content: bytes) -> tuple[list[str], bool]:
    """Check a receipt. Return what is found, and whether it is this service's own and as it was given."""
    checked = check_receipt(content, await get_public_key(settings, addresses))
    return _checked(checked), checked.is_own


def _checked(checked: CheckedReceipt) -> list[str]:
    if not checked.is_valid:
        return ["NOT VALID: it was changed, or never signed."]
    said = checked.said
    return [
        f"The signature is good, by the key {checked.key_id}.",
        "It is this service's own."
        if checked.is_own
        else "It is NOT the key that this service has: compare it with the one that was published.",
        f"Erasure {said['erasureId']} of the person {said['person']}, finished at {said['finishedAt']}:",
        _counted(said["counts"]),
    ]


async def show_status(settings: Settings, addresses: Addresses) -> list[str]:
    """List erasures, latest first, and the ring's keys with which old backups of it still open."""
    async with opened_database(addresses, settings) as pool:
        found = await erasures.list_erasures(pool, before=None, limit=100)
        known = await erasures.list_known_keys(pool, list(settings.encryption_keys))
    lines = [
        f"{iso(one.begun_at)}  {one.kind:<9}  {one.status:<9}  {one.id}  {_waits(one, known)}"
        for one in found
    ]
    return lines or ["Nothing was erased."]


def _waits(erasure: Erasure, known: list[tuple[str, Any]]) -> str:
    """Say which keys could have wrapped what was destroyed: those that were there before."""
    ended_at = erasure.destroyed_at or erasure.begun_at
    kids = [kid for kid, since in known if since <= ended_at]
    whom = f"person {erasure.person_id}  " if erasure.kind is ErasureKind.PERSON else ""
    if not kids:
        return f"{whom}no backup opens it"
    return f"{whom}full dumps from before open with {', '.join(kids)}, until that is given up"
