"""`run.py doctor`: looks whether everything is there that the service needs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from config.addresses import authority
from rdchat.common.clock import SystemClock
from rdchat.common.corrected_clock import problem
from rdchat.common.errors import UnavailableError
from rdchat.files.storage import storage_for
from rdchat.postgres.database_roles import too_much
from rdchat.postgres.key_checks import find_wrong_keys
from rdchat.postgres.migrate import SchemaBehindError, missing_migrations
from rdchat.postgres.pool import acquire, close, connect
from rdchat.postgres.server_clock import measure
from rdchat.realtime.ably_client import AblyClient, PublishError
from rdchat.redis import connection as redis_connection
from rdchat.redis.connection import LOST
from rdchat.security.ably_tokens import ably_token
from rdchat.security.encryption import KeyRing

if TYPE_CHECKING:
    from config import Settings
    from rdchat.common.stores import Addresses

#: The key of a file that is stored and taken away again.
_PROBE: Final = "doctor"


async def examine(settings: Settings, addresses: Addresses) -> int:
    """Print a table of findings. Return 0 when nothing is wrong, else 1."""
    findings = [
        ("Settings", True, "no faults"),
        ("PostgreSQL", *await _database(addresses)),
        ("Keys", *await _keys(settings, addresses)),
        ("Clock", *await _clock(addresses)),
        ("Redis", *await _redis(addresses)),
        ("Ably", *await _ably(settings)),
        ("Files", *await _files(settings)),
    ]
    table = Table(box=None)
    for heading in ("", "what", "finding"):
        table.add_column(heading)
    for what, fine, text in findings:
        table.add_row("[green]ok[/]" if fine else "[red]!![/]", what, text)
    Console().print(table)
    return 0 if all(fine for _, fine, _ in findings) else 1


async def _database(addresses: Addresses) -> tuple[bool, str]:
    try:
        pool = await connect(addresses.database_url, size=2, patience=2.0)
    except UnavailableError as error:
        return False, f"does not answer: {error.__cause__ or error}"
    try:
        async with acquire(pool) as connection:
            version = await connection.fetchval("SHOW server_version")
            excess = await too_much(connection)
            behind = await missing_migrations(connection)
    except SchemaBehindError as error:
        return False, error.message
    finally:
        await close(pool)
    if behind and not addresses.embedded:
        return False, f"{version}, but the schema lacks {', '.join(behind)}: run.py migrate"
    if excess and not addresses.embedded:
        return True, f"{version}; the service's role could do without this (run.py database roles): " + (
            ", ".join(excess)
        )
    return True, f"{version}{', embedded' if addresses.embedded else ''}"


async def _keys(settings: Settings, addresses: Addresses) -> tuple[bool, str]:
    """See whether the encryption keys are those of the database."""
    ring = KeyRing(settings.encryption_keys)
    try:
        pool = await connect(addresses.database_url, size=2, patience=2.0)
    except UnavailableError:
        return False, "nothing to compare them with"
    try:
        async with acquire(pool) as connection:
            wrong = await find_wrong_keys(connection, ring)
    finally:
        await close(pool)
    return not wrong, "; ".join(wrong) or f"{', '.join(ring.kids)}: {ring.current} is current"


async def _clock(addresses: Addresses) -> tuple[bool, str]:
    try:
        pool = await connect(addresses.database_url, size=2, patience=2.0)
    except UnavailableError:
        return False, "nothing to compare it with"
    try:
        ahead = -await measure(pool, SystemClock().ms) / 1000
    finally:
        await close(pool)
    return problem(ahead) is None, problem(ahead) or f"{abs(ahead) * 1000:.0f} ms from PostgreSQL's"


async def _redis(addresses: Addresses) -> tuple[bool, str]:
    redis = redis_connection.connect(addresses.redis_url)
    try:
        version, flags = await redis.describe()
    except LOST as error:
        return False, f"does not answer: {error}"
    finally:
        await redis.aclose()
    note = f"notifications {flags!r}" if flags is not None else "notifications unknown; timers are polled"
    return True, f"{version}, {note}"


async def _ably(settings: Settings) -> tuple[bool, str]:
    endpoint = settings.ably_endpoint
    if settings.ably_is_local and endpoint is None:
        endpoint = authority(settings.host, settings.ably_local_port)
    client = AblyClient(
        settings.ably_key,
        endpoint=endpoint,
        server_token=lambda: ably_token(
            settings.ably_key,
            capability={"*": ["*"]},
            client_id="*",
            lifetime=timedelta(minutes=1),
            now=SystemClock().now(),
        ),
    )
    try:
        await client.publish_now("rdchat:doctor", "hello", {}, client_id="doctor")
    except PublishError as error:
        refused = "401" in str(error)
        if settings.ably_is_local and settings.ably_endpoint is None and not refused:
            return True, f"local endpoint at {endpoint}: runs with `serve` ({error})"
        if settings.ably_is_local and refused:
            return False, f"{endpoint}: another service, or one with other secrets, answers there: {error}"
        return False, f"{endpoint or 'Ably'}: {error}"
    finally:
        await client.close()
    return True, f"local endpoint at {endpoint}" if settings.ably_is_local else f"key {client.key_name}"


async def _files(settings: Settings) -> tuple[bool, str]:
    place = settings.storage_url or str(settings.data_dir / "attachments")
    try:
        storage = storage_for(settings)
        await storage.put(_PROBE, b"hello")
        found = await storage.get(_PROBE)
        await storage.delete(_PROBE)
    except (UnavailableError, OSError) as error:
        return False, f"{place}: {error.__cause__ or error}"
    return found == b"hello", place
