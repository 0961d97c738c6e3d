"""Looking whether the audit is as it was written: every row, every link of every chain, every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from rdchat.common.clock import iso
from rdchat.postgres.audit import has_its_mac
from rdchat.postgres.audit_checkpoints import Checkpoint, CheckpointError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from uuid import UUID

    import asyncpg

    from rdchat.postgres.pool import Connection
    from rdchat.security.encryption import Encryptor

#: Rows at a time.
_PAGE: Final = 2_000
#: Findings beyond these are counted, not told.
_TOLD: Final = 1_000

_LINKS = """
SELECT l.chain, l.seq, l.audit_id, l.hash AS link_hash, a.*
  FROM audit_links l LEFT JOIN audit a ON a.id = l.audit_id
 ORDER BY l.chain, l.seq
"""
# By hash: sorting is dearer than reading all of it.
_UNLINKED = "SELECT id, at FROM audit a WHERE NOT EXISTS (SELECT FROM audit_links l WHERE l.audit_id = a.id)"
_ENDS = "SELECT chain, last_seq, hash FROM audit_chains ORDER BY chain"


@dataclass(slots=True)
class AuditReport:
    """What was found: how much was looked at, and what is wrong, a sentence each that names the row."""

    rows: int = 0
    checkpoints: int = 0
    findings: list[str] = field(default_factory=list)
    more: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def add(self, finding: str) -> None:
        """Add something that is wrong."""
        if len(self.findings) < _TOLD:
            self.findings.append(finding)
        else:
            self.more += 1


@dataclass(slots=True)
class _Chain:
    seq: int = 0
    hash: bytes = b""
    #: The hashes of those links that a checkpoint names.
    marks: dict[int, bytes] = field(default_factory=dict)


async def check_audit(
    connection: Connection,
    service: Encryptor,
    *,
    public_key: bytes,
    kept: Iterable[str] = (),
    say: Callable[[int], None] = lambda _: None,
) -> AuditReport:
    """Look at all of the audit, in a transaction that sees one instant (REPEATABLE READ).

    `kept`: checkpoints that lay outside, a line each. `say` is told now and then how many rows have been
    looked at. Raise what asyncpg raises.
    """
    report = AuditReport()
    checkpoints = await _read_checkpoints(connection, public_key, kept, report)
    wanted = {(end.chain, end.seq) for one in checkpoints for end in one.ends}
    chains = await _check_links(connection, service, wanted, report, say)
    for row in await connection.fetch(_UNLINKED):
        report.add(f"row {row['id']} of {iso(row['at'])} is in no chain")
    _check_ends(await connection.fetch(_ENDS), chains, report)
    for one in checkpoints:
        _check_against(one, chains, report)
    return report


async def _check_links(
    connection: Connection,
    service: Encryptor,
    wanted: set[tuple[int, int]],
    report: AuditReport,
    say: Callable[[int], None],
) -> dict[int, _Chain]:
    chains: dict[int, _Chain] = {}
    seen: set[bytes] = set()
    async for row in _links(connection):
        chain = chains.setdefault(row["chain"], _Chain())
        _check_link(row, chain, service, seen, report)
        if (row["chain"], row["seq"]) in wanted:
            chain.marks[row["seq"]] = row["link_hash"]
        report.rows += 1
        if report.rows % _PAGE == 0:
            say(report.rows)
    return chains


async def _links(connection: Connection) -> AsyncIterator[asyncpg.Record]:
    async for row in connection.cursor(_LINKS, prefetch=_PAGE):
        yield row


def _check_link(
    row: asyncpg.Record, chain: _Chain, service: Encryptor, seen: set[bytes], report: AuditReport
) -> None:
    place = f"link {row['seq']} of chain {row['chain']}"
    name = f"row {row['audit_id']} ({place})"
    is_next = row["seq"] == chain.seq + 1
    if not is_next:
        report.add(f"links {chain.seq + 1} to {row['seq'] - 1} of chain {row['chain']} are missing")
    if row["audit_id"].bytes in seen:
        report.add(f"{name} is linked twice")
    seen.add(row["audit_id"].bytes)
    if row["id"] is None:
        report.add(f"{name} is missing")
    elif not has_its_mac(row, service):
        report.add(f"{name} of {iso(row['at'])} was altered, or made by someone else")
    elif is_next and row["link_hash"] != link_hash(chain.hash, row["seq"], row["audit_id"], row["mac"]):
        report.add(f"{name} is not what stood there: links were exchanged, or their hash altered")
    chain.seq, chain.hash = row["seq"], row["link_hash"]


def link_hash(before: bytes, seq: int, audit_id: UUID, mac: bytes) -> bytes:
    """Return the hash of a link, as the trigger of migration 0080 makes it."""
    return sha256(before + seq.to_bytes(8, "big") + audit_id.bytes + mac).digest()


def _check_ends(rows: Iterable[asyncpg.Record], chains: dict[int, _Chain], report: AuditReport) -> None:
    for row in rows:
        chain = chains.pop(row["chain"], None) or _Chain()
        if (chain.seq, chain.hash) != (row["last_seq"], row["hash"]):
            report.add(
                f"chain {row['chain']} ends with link {chain.seq}, and should end with link {row['last_seq']}"
            )
        chains[row["chain"]] = chain


async def _read_checkpoints(
    connection: Connection, public_key: bytes, kept: Iterable[str], report: AuditReport
) -> list[Checkpoint]:
    """Read the checkpoints of the database and those that lay outside; each is signed, and names the last."""
    inside = [row["line"] for row in await connection.fetch("SELECT line FROM audit_checkpoints ORDER BY n")]
    found = []
    for where, lines in (("in the database", inside), ("kept outside", list(kept))):
        before: Checkpoint | None = None
        for n, line in enumerate(lines, 1):
            report.checkpoints += 1
            try:
                one = Checkpoint.read(line, public_key)
            except CheckpointError as error:
                report.add(f"checkpoint in line {n} {where}: {error}")
                before = None
                continue
            if before is not None and (one.n != before.n + 1 or one.previous != before.digest):
                report.add(f"checkpoints {before.n + 1} to {one.n} {where}: one is missing or was exchanged")
            if before is None and n == 1 and where == "in the database" and one.n != 1:
                report.add(f"checkpoints 1 to {one.n - 1} {where} are missing")
            before = one
            found.append(one)
    return found


def _check_against(checkpoint: Checkpoint, chains: dict[int, _Chain], report: AuditReport) -> None:
    for end in checkpoint.ends:
        chain = chains.get(end.chain)
        if end.seq and (chain is None or chain.marks.get(end.seq) != end.hash):
            report.add(
                f"chain {end.chain} up to link {end.seq} is not what it was at checkpoint {checkpoint.n} "
                f"of {checkpoint.at}"
            )
