"""Whether the audit of a running service is as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdchat.postgres.audit_check import check_audit
from rdchat.postgres.audit_checkpoints import audit_signer
from rdchat.postgres.pool import acquire

if TYPE_CHECKING:
    from tests.support.service import Service


async def assert_audit_holds(service: Service) -> None:
    """Look at every row and link, as `run.py audit verify` does."""
    async with (
        acquire(service.runtime.pool) as connection,
        connection.transaction(isolation="repeatable_read"),
    ):
        key = await service.runtime.audit.keys.get_service_key(connection)
        report = await check_audit(connection, key, public_key=audit_signer(key).public_key)
    assert report.findings == []
    assert report.rows > 0
