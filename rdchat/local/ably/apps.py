"""Apps: each with keys, channels and connections of its own, and nothing in common with the others."""

from __future__ import annotations

import base64
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from .capabilities import FULL_CAPABILITY, Capability
from .channels import Channels
from .connections import Connections
from .credentials import Credential, from_query, from_request
from .dispatch import Dispatcher
from .errors import AblyError, ErrorCode
from .fixtures import Fixture, enter
from .grants import Grant, Key, app_of
from .tokens import Keyring

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from .faults import Faults
    from .limits import Limits


class App:
    """One app. `namespaces` are as they were posted; those that are `persisted` keep their history."""

    def __init__(
        self,
        app_id: str,
        keys: Collection[Key],
        *,
        clock: Callable[[], float],
        limits: Limits,
        faults: Faults,
        namespaces: Collection[Mapping[str, object]] = (),
    ) -> None:
        self.id = app_id
        self.namespaces = list(namespaces)
        self.created = self.used = clock()
        self.limits = limits
        persisted = [str(one["id"]) for one in namespaces if one.get("persisted")]
        self.keyring = Keyring(keys, clock=clock, limits=limits)
        self.channels = Channels(clock=clock, limits=limits, faults=faults, persisted=persisted)
        self.connections = Connections(
            keyring=self.keyring, channels=self.channels, clock=clock, limits=limits
        )
        self.dispatcher = Dispatcher(
            keyring=self.keyring,
            channels=self.channels,
            connections=self.connections,
            clock=clock,
            limits=limits,
            faults=faults,
        )

    def sweep(self) -> None:
        """Forget what is too old."""
        self.channels.sweep()
        self.keyring.sweep()

    def close(self) -> None:
        """Drop all connections."""
        self.connections.abort_all()


class Apps:
    """The apps of the endpoint: those of its own keys, and those that are made and removed for tests."""

    def __init__(
        self, keys: Collection[Key], *, clock: Callable[[], float], limits: Limits, faults: Faults
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._faults = faults
        self._apps: dict[str, App] = {}
        self._lasting = {key.app_id for key in keys}
        for app_id in self._lasting:
            self._add(app_id, [key for key in keys if key.app_id == app_id])

    def __iter__(self) -> Iterator[App]:
        """Iterate over all of them."""
        return iter(list(self._apps.values()))

    def get(self, app_id: str) -> App:
        """Return the app of that id. Raise AblyError 40400 when there is none."""
        app = self._apps.get(app_id)
        if app is None:
            raise AblyError(ErrorCode.NOT_FOUND, f"no application found with id {app_id}")
        app.used = self._clock()
        return app

    def of_key(self, key_name: str) -> App:
        """Return the app of the key of that name. Raise AblyError 40400."""
        return self.get(app_of(key_name))

    def admit(self, headers: Mapping[str, str], query: Mapping[str, str]) -> tuple[App, Grant]:
        """Verify the credentials of an HTTP request, and return its app and what it may do.

        Raise AblyError when they are refused: 40400 for a token of an unknown app, 40101 for a key of one. So
        has ably-js in its suites: "JWT request with invalid key" of test/rest/auth.test.js, and
        RSP3/invalid-credentials-rejected-4 of test/uts/rest/integration/presence.test.ts.
        """
        return self._admit(from_request(headers, query))

    def admit_websocket(self, query: Mapping[str, str]) -> tuple[App, Grant]:
        """Verify the credentials in the address of a websocket, likewise.

        There the real service does not say which part of them it does not know: 40101.
        """
        try:
            return self._admit(from_query(query, query.get("clientId") or None))
        except AblyError as error:
            if error.code == ErrorCode.NOT_FOUND:
                raise AblyError(ErrorCode.INVALID_CREDENTIALS, error.message) from error
            raise

    def create(self, spec: object) -> App:
        """Make an app as Ably's sandbox does.

        `spec` is `{keys: [{capability?, revocableTokens?}], namespaces: [{id, persisted?}],
        channels: [{name, presence: [{clientId, data?, encoding?}]}], limits?: {presence: {maxMembers}}}`;
        all else is ignored. Raise AblyError 40001 for another shape, 42910 beyond the number of
        apps that may exist at a time.
        """
        if not isinstance(spec, dict):
            raise AblyError(ErrorCode.INVALID_BODY, "an app must be an object")
        if not all(_are_objects(spec.get(name, [])) for name in ("keys", "namespaces", "channels")):
            raise AblyError(ErrorCode.INVALID_BODY, "keys, namespaces and channels must be lists of objects")
        if len(self._apps) - len(self._lasting) >= self._limits.apps:
            raise AblyError(ErrorCode.RATE_LIMITED, "too many apps: remove some")
        namespaces = spec.get("namespaces", [])
        if not all(isinstance(one.get("id"), str) for one in namespaces):
            raise AblyError(ErrorCode.INVALID_BODY, "a namespace must have an id")
        fixtures = Fixture.read(spec.get("channels", []))
        app_id = _word(6)
        # Without a key no one could use the app, nor remove it.
        keys = [_read_key(app_id, key) for key in spec.get("keys") or [{}]]
        limits = _read_limits(spec.get("limits"), self._limits)
        app = self._add(app_id, keys, limits=limits, namespaces=namespaces)
        try:
            enter(fixtures, app.channels)
        except AblyError:
            self.remove(app.id)
            raise
        return app

    def remove(self, app_id: str) -> None:
        """Remove an app made for tests; its clients are dropped. Raise AblyError 40300 for another."""
        app = self.get(app_id)
        if app_id in self._lasting:
            raise AblyError(ErrorCode.FORBIDDEN, "this app belongs to the endpoint")
        del self._apps[app_id]
        app.close()

    def sweep(self) -> None:
        """Forget what is too old, and the apps for tests that have been unused for long."""
        now = self._clock()
        for app in self:
            app.sweep()
            if any(True for _ in app.connections):
                app.used = now
            elif app.id not in self._lasting and now - app.used > self._limits.app_lifetime:
                self.remove(app.id)

    def _add(
        self,
        app_id: str,
        keys: Collection[Key],
        *,
        limits: Limits | None = None,
        namespaces: Collection[Mapping[str, object]] = (),
    ) -> App:
        app = self._apps[app_id] = App(
            app_id,
            keys,
            clock=self._clock,
            limits=limits or self._limits,
            faults=self._faults,
            namespaces=namespaces,
        )
        return app

    def _admit(self, credential: Credential) -> tuple[App, Grant]:
        app_id = credential.app_id
        if credential.is_key and app_id not in self._apps:
            raise AblyError(ErrorCode.INVALID_CREDENTIALS, f"no application found with id {app_id}")
        app = self.get(app_id)
        return app, credential.verify(app.keyring)


def _are_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _read_key(app_id: str, spec: Mapping[str, object]) -> Key:
    capability = spec.get("capability")
    return Key(
        f"{app_id}.{_word(6)}",
        secrets.token_urlsafe(32),
        FULL_CAPABILITY if capability is None else Capability.parse(capability),
        revocable=spec.get("revocableTokens") is True,
    )


def _read_limits(spec: object, limits: Limits) -> Limits:
    presence = spec.get("presence") if isinstance(spec, dict) else None
    most = presence.get("maxMembers") if isinstance(presence, dict) else None
    if type(most) is not int or most < 1:
        return limits
    return replace(limits, members_per_channel=most)


def _word(length: int) -> str:
    """Make an id of commands and digits: neither a dot nor a colon may be in it, and people read it."""
    return base64.b32encode(secrets.token_bytes(length)).decode()[:length].lower()
