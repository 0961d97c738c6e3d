"""The audit, wired together: what writes it, and what makes checkpoints of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdchat.operations.checkpoints import CheckpointKeeper
from rdchat.postgres.audit_checkpoints import audit_signer
from rdchat.postgres.pool import acquire
from rdchat.services.audit import AuditTrail

if TYPE_CHECKING:
    from rdchat.runtime.parts import Base, Stores


async def start_audit(base: Base, stores: Stores) -> AuditTrail:
    """Begin to write it; a worker makes checkpoints as well."""
    trail = AuditTrail(pool=stores.pool, keys=stores.keys, clock=base.clock)
    trail.start()
    base.close_in_turn(trail.close)
    if "worker" in base.settings.roles:
        async with acquire(stores.pool) as connection:
            signer = audit_signer(await stores.keys.get_service_key(connection))
        keeper = CheckpointKeeper(
            stores.pool, signer, base.clock, base.metrics, file=base.settings.audit_checkpoints
        )
        keeper.start()
        base.close_in_turn(keeper.close)
    return trail
