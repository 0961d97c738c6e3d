"""Commands that need a replica's services for a moment, without serving."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from config.addresses import authority
from rdchat.common.clock import iso
from rdchat.operations.administration import prepare_embedded
from rdchat.runtime import Runtime
from rdchat.services.wall_times import TZDATA

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from config import Settings
    from rdchat.common.stores import Addresses


@asynccontextmanager
async def started(settings: Settings, addresses: Addresses) -> AsyncIterator[Runtime]:
    """Start a replica that serves no one, and close it."""
    endpoint = settings.ably_endpoint
    if settings.ably_is_local and endpoint is None:
        # The service that runs beside this, if one does, has the endpoint; else the outbox keeps the events.
        endpoint = authority(settings.host, settings.ably_local_port)
    await prepare_embedded(addresses, settings)
    runtime = await Runtime.start(
        replace(settings, roles=frozenset(), ably_endpoint=endpoint),
        database_url=addresses.database_url,
        redis_url=addresses.redis_url,
    )
    try:
        yield runtime
    finally:
        await runtime.close()


async def keep_wall_times(settings: Settings, addresses: Addresses, *, dry_run: bool) -> list[str]:
    """Move the counsellings that a change of the tz database has shifted. Return a line for each."""
    async with started(settings, addresses) as runtime:
        found = await runtime.wall_times.keep(dry_run=dry_run)
    done = "would move" if dry_run else "moved"
    lines = [
        f"{done}  {one.counseling_id}  {iso(one.before)} -> {iso(one.after)}"
        if one.fault is None
        else f"cannot move  {one.counseling_id}  {iso(one.before)} -> {iso(one.after)}: {one.fault}"
        for one in found
    ]
    return lines or [f"Every counselling keeps its wall time (tz database {TZDATA})."]
