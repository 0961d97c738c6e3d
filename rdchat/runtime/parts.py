"""The parts of a replica below its services, by area: stores, delivery, engine. One function builds each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from config.addresses import public_host
from rdchat.common.corrected_clock import CorrectedClock
from rdchat.common.telemetry import Metrics
from rdchat.domain.booking import Limits
from rdchat.engine.engine import ASKING, Engine
from rdchat.engine.passivation import Passivation
from rdchat.engine.post_commit import PostCommitEffects
from rdchat.local.ably import AblyLocal
from rdchat.postgres import pool as postgres
from rdchat.postgres.data_keys import DataKeys
from rdchat.postgres.key_checks import WrongKeyError, check_ring, is_new
from rdchat.postgres.migrate import bring_up_to_date
from rdchat.postgres.names import SnapshotNames
from rdchat.postgres.server_clock import ClockKeeper
from rdchat.postgres.storage import StoredSessions
from rdchat.realtime.ably_client import AblyClient
from rdchat.realtime.channel_cipher import ChannelCipher
from rdchat.realtime.late_revoker import LateRevoker
from rdchat.realtime.publisher import LEASE, Publisher
from rdchat.realtime.supplement import EventFacts
from rdchat.redis import connection as redis_connection
from rdchat.redis.announcements import Announcements
from rdchat.redis.delay_queue import DelayQueue
from rdchat.redis.rates import Rates
from rdchat.redis.replica_registry import ReplicaRegistry
from rdchat.redis.snapshots import Snapshots
from rdchat.security.ably_tokens import ably_token
from rdchat.security.encryption import KeyRing
from rdchat.texts.wording import automated_text
from rdchat.webhooks.dispatch import Webhooks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AsyncExitStack

    from config import Settings
    from rdchat.common.clock import Clock
    from rdchat.postgres.pool import Pool
    from rdchat.realtime.supplement import MakeSupplement
    from rdchat.redis.connection import RedisClient
    from statemachine import Session

log = structlog.get_logger(__name__)

#: To PostgreSQL, for all but the engine, which has its own.
_CONNECTIONS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What every area is built from. `closing` holds what is to be closed, the last that came first."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    limits: Limits
    text_of: Callable[[str, Session], str]
    closing: AsyncExitStack

    def close_in_turn(self, close: Callable[[], Awaitable[Any]]) -> None:
        """Have a part closed once all that was built after it is closed."""

        async def close_or_complain() -> None:
            try:
                await close()
            except Exception:
                # The others still want to be closed, the stores above all.
                log.exception("a part did not close")

        self.closing.push_async_callback(close_or_complain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """PostgreSQL, Redis, and what keeps things there. `woken` is set when a timer was added to the queue.

    `commits` are connections of the engine's own: a hundred who read at once would hold up those who write.
    """

    pool: Pool
    commits: Pool
    keys: DataKeys
    redis: RedisClient
    snapshots: Snapshots
    rates: Rates
    queue: DelayQueue
    announcements: Announcements
    woken: asyncio.Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What carries events out of the house: Ably, and webhooks."""

    ably_local: AblyLocal | None
    ably: AblyClient
    publisher: Publisher
    webhooks: Webhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The engine, what it reads and writes, and what follows its commits."""

    engine: Engine
    storage: StoredSessions
    effects: PostCommitEffects


def make_base(settings: Settings, clock: Clock, closing: AsyncExitStack) -> Base:
    """Make what needs neither a store nor a connection."""
    return Base(
        settings=settings,
        clock=clock,
        metrics=Metrics(),
        limits=Limits(
            shortest=settings.min_session,
            longest=settings.max_session,
            horizon=settings.booking_horizon,
            per_client=settings.max_active_per_client,
            per_psychologist=settings.max_active_per_psychologist,
        ),
        text_of=partial(automated_text, settings.organizations),
        closing=closing,
    )


async def open_stores(base: Base, database_url: str, redis_url: str) -> Stores:
    """Connect to the stores, and bring the schema up to date if it is the service's own.

    Raise UnavailableError without PostgreSQL, SchemaBehindError if it is another's and behind, WrongKeyError
    for encryption keys that are not this database's.
    """
    keys = DataKeys(KeyRing(base.settings.encryption_keys), base.metrics)
    pool = await postgres.connect(database_url, keys=keys, size=_CONNECTIONS, kept=1)
    base.close_in_turn(lambda: postgres.close(pool))
    applied = await bring_up_to_date(pool)
    if applied:
        log.info("migrations applied", names=applied)
    commits = await postgres.connect(database_url, keys=keys, size=ASKING, kept=1)
    base.close_in_turn(lambda: postgres.close(commits))
    await _follow_clock(base, pool)
    redis = redis_connection.connect(redis_url)
    base.close_in_turn(redis.aclose)
    async with postgres.acquire(pool) as connection:
        await check_ring(connection, keys.ring)
        if await is_new(connection, keys.ring.current):
            await _check_others_have(keys.ring.current, redis)
        service_key = await keys.get_service_key(connection)
    rates = Rates(redis, base.settings.rate_limits)
    rates.start()
    base.close_in_turn(rates.close)
    announcements = Announcements(redis)
    base.close_in_turn(announcements.close)
    woken = asyncio.Event()
    return Stores(
        pool=pool,
        commits=commits,
        keys=keys,
        redis=redis,
        snapshots=Snapshots(redis, service_key, SnapshotNames(pool, keys), alarm=keys.alarm),
        rates=rates,
        queue=DelayQueue(redis, on_scheduled=woken.set),
        announcements=announcements,
        woken=woken,
    )


async def _check_others_have(kid: str, redis: RedisClient) -> None:
    """See that no replica that runs would be unable to read what a new key encrypts. Raise WrongKeyError."""
    try:
        present = await ReplicaRegistry(redis).list_present()
    except redis_connection.LOST:
        log.warning("Redis is away: whether other replicas have the new encryption key is not known", kid=kid)
        return
    without = [one["name"] for one in present if kid not in one.get("encryptionKeys", [])]
    if without:
        raise WrongKeyError(
            f"RDCHAT_ENCRYPTION_KEYS: {', '.join(without)} could not read what {kid!r} encrypts. Put it at "
            "the end of the setting of every replica first, and to the front when all of them have it."
        )


async def _follow_clock(base: Base, pool: Pool) -> None:
    """Work by PostgreSQL's clock. A clock that was given, as by tests, is left as it is."""
    clock = base.clock
    if not isinstance(clock, CorrectedClock):
        return
    keeper = ClockKeeper(pool, clock)
    await keeper.start()
    base.close_in_turn(keeper.close)
    if clock.problem is not None:
        log.warning("PostgreSQL's clock is followed", what=clock.problem)
    base.metrics.gauge(
        "rdchat_clock_offset_seconds",
        "How far this machine's clock is ahead of PostgreSQL's, which is followed.",
        lambda: clock.machine_ahead_seconds,
    )


async def start_local_endpoint(settings: Settings) -> AblyLocal | None:
    """Start the local Ably endpoint, unless the settings name another one, or Ably itself."""
    if not settings.ably_is_local or settings.ably_endpoint is not None:
        return None
    key_name, _, secret = settings.ably_key.partition(":")
    local = AblyLocal(keys={key_name: secret})
    await local.start(settings.host, settings.ably_local_port)
    return local


async def start_delivery(
    base: Base, stores: Stores, make_supplement: MakeSupplement | None = None
) -> Delivery:
    """Start what delivers; a replica that is no relay delivers only what it has committed itself.

    `make_supplement` makes what adds to the events that are published.
    """
    settings = base.settings
    is_relay = "relay" in settings.roles
    endpoint = settings.ably_endpoint
    ably_local = await start_local_endpoint(settings)
    if ably_local is not None:
        base.close_in_turn(ably_local.close)
        endpoint = ably_local.address
    ably = AblyClient(
        settings.ably_key,
        endpoint=endpoint,
        server_token=partial(_server_token, base),
        public_host=public_host(settings.host, settings.public_url),
    )
    base.close_in_turn(ably.close)
    supplement = None
    if make_supplement is not None:
        supplement = make_supplement(EventFacts(settings, base.clock, stores.pool, stores.announcements))
    cipher = ChannelCipher(stores.pool, stores.keys) if settings.ably_cipher else None
    publisher = Publisher(stores.pool, ably, stores.keys, base.metrics, supplement, cipher=cipher)
    publisher.start(relay=is_relay)
    base.close_in_turn(publisher.close)
    if is_relay:
        late_revoker = LateRevoker(stores.pool, ably, base.clock)
        late_revoker.start()
        base.close_in_turn(late_revoker.close)
    webhooks = Webhooks(
        settings.webhook_urls,
        settings.webhook_secrets,
        allow_private=settings.webhook_allow_private,
        pool=stores.pool,
        keys=stores.keys,
        clock=base.clock,
        metrics=base.metrics,
    )
    if is_relay:
        webhooks.start()
        base.close_in_turn(webhooks.close)
    return Delivery(ably_local=ably_local, ably=ably, publisher=publisher, webhooks=webhooks)


def _server_token(base: Base) -> str:
    return ably_token(
        base.settings.ably_key,
        capability={"*": ["*"]},
        client_id="*",
        lifetime=timedelta(hours=1),
        now=base.clock.now(),
    )


def start_engine(base: Base, stores: Stores, delivery: Delivery) -> Core:
    """Start the engine, on its storage and with what follows its commits."""
    storage = StoredSessions(
        stores.commits,
        stores.snapshots,
        keys=stores.keys,
        limits=base.limits,
        outbox_lease=LEASE,
        endpoints=delivery.webhooks.endpoints,
        text_of=base.text_of,
    )
    effects = PostCommitEffects(
        delivery.publisher,
        stores.snapshots,
        stores.queue,
        base.metrics,
        on_notified=delivery.webhooks.wake,
    )
    effects.start()
    base.close_in_turn(effects.close)
    engine = Engine(storage, effects, base.clock)
    engine.start()
    base.close_in_turn(engine.close)
    passivation = Passivation(engine)
    passivation.start()
    base.close_in_turn(passivation.close)
    return Core(engine=engine, storage=storage, effects=effects)
