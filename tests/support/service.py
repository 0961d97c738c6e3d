"""A replica for tests, and callers who use it over real HTTP."""

from __future__ import annotations

import base64
import hashlib
import os
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID, uuid4

import aiohttp
from aiohttp import web

from config import Organizations, Settings
from config.addresses import authority
from handlers import dialects
from handlers.server.application import build_runner
from handlers.server.listening import bind
from rdchat.domain.person import Caller, Role
from rdchat.runtime import Runtime
from tests.support import spoken
from tests.support.spans import on_the_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

# They guard nothing, but are such as a service takes that has a database of its own.
SECRET = "Vb3xT0pQ9sLw2ZkYc7hRr5uJ1mEe8aNd"  # noqa: S105 - of tests
ENCRYPTION_KEY = hashlib.sha256(b"of tests").digest()


def service_settings(data_dir: Path, **changes: Any) -> Settings:
    """Settings with short leads; sessions may last from two seconds on."""
    settings = Settings(
        host="127.0.0.1",
        port=0,
        dialect=spoken.DIALECT,
        operations_host="127.0.0.1",
        operations_port=None,
        data_dir=data_dir,
        database_url=None,
        redis_url=None,
        ably_key="rdchat.test:secret-of-the-local-ably-key-0123456789",
        ably_is_local=True,
        ably_endpoint=None,
        ably_local_port=0,
        ably_token_lifetime=timedelta(minutes=30),
        jwt_secret=SECRET,
        jwt_jwks_url=None,
        jwt_algorithms=("HS256",),
        jwt_issuer="rdchat",
        jwt_audience="rdchat",
        jwt_max_lifetime=timedelta(hours=24),
        jwt_keys_trust=timedelta(hours=24),
        initial_message_lead=timedelta(seconds=1),
        end_warning_lead=timedelta(seconds=1),
        min_session=timedelta(seconds=2),
        max_session=timedelta(hours=4),
        booking_horizon=timedelta(days=800),
        max_active_per_client=1,
        max_active_per_psychologist=5,
        max_pending_per_client=1000,
        booking_notice=timedelta(0),
        cancel_deadline=timedelta(0),
        reminders=(),
        extension_step=timedelta(minutes=1),
        rate_limits={},
        trusted_proxies=(),
        encryption_keys={"test": ENCRYPTION_KEY},
        language="id",
        organizations=Organizations(),
        roles=frozenset({"api", "worker", "relay"}),
        log_format="text",
        drain=timedelta(0),
        max_attachment=1024 * 1024,
        clamd=None,
        storage_url=None,
        s3_endpoint=None,
        s3_region=None,
        s3_access_key_id=None,
        s3_secret_access_key=None,
        webhook_urls=(),
        webhook_secrets=(),
        webhook_allow_private=False,
    )
    return replace(settings, **changes)


def service_environment(settings: Settings) -> dict[str, str]:
    """The same settings as variables, for a replica in a process of its own."""
    dialect = {"RDCHAT_DIALECT": settings.dialect} if settings.dialect is not None else {}
    return dialect | {
        "RDCHAT_HOST": settings.host,
        "RDCHAT_PORT": str(settings.port),
        "RDCHAT_DATA_DIR": str(settings.data_dir),
        "RDCHAT_ABLY_LOCAL_PORT": str(settings.ably_local_port),
        "RDCHAT_JWT_SECRET": settings.jwt_secret or "",
        "RDCHAT_ENCRYPTION_KEYS": ",".join(
            f"{kid}:{base64.b64encode(key).decode()}" for kid, key in settings.encryption_keys.items()
        ),
        "RDCHAT_INITIAL_MESSAGE_LEAD": str(settings.initial_message_lead.total_seconds()),
        "RDCHAT_END_WARNING_LEAD": str(settings.end_warning_lead.total_seconds()),
        "RDCHAT_MAX_ACTIVE_PER_PSYCHOLOGIST": str(settings.max_active_per_psychologist),
        "RDCHAT_MAX_PENDING_PER_CLIENT": str(settings.max_pending_per_client),
        "RDCHAT_RATE_LIMITS": "off",
        "RDCHAT_MIN_SESSION": str(settings.min_session.total_seconds()),
        "RDCHAT_DRAIN_SECONDS": "0",
        "RDCHAT_REMINDERS": ",".join(str(lead.total_seconds()) for lead in settings.reminders) or "off",
    }


@dataclass
class Reply:
    """An HTTP answer, read."""

    status: int
    json: Any
    headers: Any

    @property
    def data(self) -> Any:
        assert self.json["success"], self.json
        return self.json["data"]

    @property
    def code(self) -> str:
        assert not self.json["success"], self.json
        code: str = self.json["code"]
        return code


class Person:
    """A person with a token. `headers` are sent with every call."""

    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, client: aiohttp.ClientSession, base: str, caller: Caller, token: str) -> None:
        self._client = client
        self._base = base
        self.caller = caller
        self.token = token

    @property
    def id(self) -> UUID:
        return self.caller.id

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        """Call a route under /api/v1; `json`, `data`, `params` and `headers` are aiohttp's."""
        headers = {"Authorization": f"Bearer {self.token}", **self.headers, **options.pop("headers", {})}
        url = f"{self._base}/api/v1{path}"
        async with self._client.request(method, url, headers=headers, **options) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json"
            body = await answer.json() if is_json else text
            # A transcript writes an envelope of its own, which no dialect adds to.
            body = body if "/transcript" in path else spoken.ordinary(body)
            return Reply(answer.status, body, answer.headers)

    async def get(self, path: str, **params: Any) -> Reply:
        return await self.call("GET", path, params={name: str(value) for name, value in params.items()})

    async def post(self, path: str, body: Any) -> Reply:
        return await self.call("POST", path, json=body)

    async def put(self, path: str, body: Any = None) -> Reply:
        return await self.call("PUT", path, json=body if body is not None else {})

    async def book(
        self, starts_at: datetime, ends_at: datetime, *, timezone: str | None = None, **more: Any
    ) -> Reply:
        """Book a chat from one whole second to another."""
        body = {"method": "chat", **on_the_clock(starts_at, ends_at, timezone), **more}
        return await self.post("/counselings/book", body)

    async def book_session(self, starts_at: datetime, ends_at: datetime, **more: Any) -> str:
        """Book a chat that must succeed. Return the session's id."""
        reply = await self.book(starts_at, ends_at, **more)
        assert reply.status == 201, reply.json
        session_id: str = reply.data["chatSession"]["sessionId"]
        return session_id

    async def say(self, session_id: str, text: str, client_message_id: str | None = None) -> Reply:
        body = {"sessionId": session_id, "message": text, "messageType": "text"}
        if client_message_id is not None:
            body["clientMessageId"] = client_message_id
        return await self.post("/chat/messages", body)

    async def session(self, session_id: str) -> dict[str, Any]:
        data: dict[str, Any] = (await self.get(f"/chat/sessions/{session_id}")).data
        return data

    async def history(self, session_id: str) -> list[dict[str, Any]]:
        data: list[dict[str, Any]] = (await self.get("/chat/history", sessionId=session_id, limit=100)).data[
            "data"
        ]
        return data


class Service:
    """A replica in this process."""

    def __init__(self, runtime: Runtime, base: str, client: aiohttp.ClientSession) -> None:
        self.runtime = runtime
        self.base = base
        self.client = client

    @classmethod
    @asynccontextmanager
    async def running(
        cls, settings: Settings, *, database_url: str, redis_url: str, clock: Any = None
    ) -> AsyncIterator[Service]:
        async with AsyncExitStack() as closing:
            (bound,) = bind(settings, shared=False)
            closing.callback(bound.close)
            settings = replace(settings, port=bound.getsockname()[1])
            runtime = await Runtime.start(
                settings,
                database_url=database_url,
                redis_url=redis_url,
                clock=clock,
                make_supplement=dialects.supplement_of(settings),
            )
            closing.push_async_callback(runtime.close)
            # TEST_EDGE=aiohttp: everything by aiohttp's application, as what is not plain always is.
            runner = build_runner(runtime, plain=os.environ.get("TEST_EDGE") != "aiohttp")
            closing.push_async_callback(runner.cleanup)
            await runner.setup()
            await web.SockSite(runner, bound).start()
            client = await closing.enter_async_context(aiohttp.ClientSession())
            yield cls(runtime, f"http://{authority(settings.host, settings.port)}", client)

    def person(
        self,
        role: Role = Role.CLIENT,
        name: str = "Budi",
        *,
        person_id: UUID | None = None,
        organization_id: UUID | None = None,
    ) -> Person:
        caller = Caller(person_id or uuid4(), role, name, organization_id=organization_id)
        token = self.runtime.tokens.issue(caller, lifetime=timedelta(hours=1))
        return Person(self.client, self.base, caller, token)

    async def psychologist(self, name: str = "Sari", *, timezone: str = "Asia/Jakarta") -> Person:
        """Create a psychologist through the API, and give them a token. They read times in `timezone`."""
        person = self.person(Role.PSYCHOLOGIST, name)
        admin = self.person(Role.SUPER_ADMIN, "Admin")
        reply = await admin.put(f"/psychologists/{person.id}", {"fullName": name, "timezone": timezone})
        assert reply.status == 201, reply.json
        return person


def whole_second(seconds_from_now: float) -> datetime:
    """The first whole second that is at least so far away."""
    instant = datetime.now(UTC) + timedelta(seconds=seconds_from_now)
    return instant.replace(microsecond=0) + timedelta(seconds=1 if instant.microsecond else 0)
