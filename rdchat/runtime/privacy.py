"""What erases and holds back, wired to the services that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from rdchat.domain.person import Caller, Role
from rdchat.operations.privacy.erasing import ErasureService
from rdchat.operations.privacy.exporting import ExportService
from rdchat.operations.privacy.holds import HoldService
from rdchat.operations.privacy.retaining import RetentionService

if TYPE_CHECKING:
    from rdchat.runtime.callers import Callers
    from rdchat.runtime.parts import Base, Stores
    from rdchat.runtime.services import Services

#: Who acts where it is the command line, or the service itself.
_SERVICE_ID = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """What handlers and commands call."""

    erasures: ErasureService
    exports: ExportService
    holds: HoldService
    retention: RetentionService


def start_privacy(base: Base, stores: Stores, services: Services, callers: Callers) -> Privacy:
    """Make it, and begin to end what has been kept for long enough."""

    async def cancel(actor_id: UUID | None, counseling_id: UUID) -> None:
        caller = Caller(actor_id or _SERVICE_ID, Role.SUPER_ADMIN, "")
        await services.counselings.cancel(caller, counseling_id, None)

    erasures = ErasureService(
        pool=stores.pool,
        keys=stores.keys,
        files=services.attachments.files,
        snapshots=stores.snapshots,
        clock=base.clock,
        cancel=cancel,
        follow=callers.access.refresh,
    )
    retention = RetentionService(
        pool=stores.pool,
        keys=stores.keys,
        organizations=base.settings.organizations,
        erasures=erasures,
        clock=base.clock,
    )
    if "worker" in base.settings.roles:
        retention.start()
        base.close_in_turn(retention.close)
    return Privacy(
        erasures=erasures,
        exports=ExportService(
            pool=stores.pool, keys=stores.keys, files=services.attachments.files, clock=base.clock
        ),
        holds=HoldService(pool=stores.pool, keys=stores.keys, clock=base.clock),
        retention=retention,
    )
