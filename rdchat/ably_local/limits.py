"""Every figure that bounds memory, size or time, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the endpoint; times are seconds, sizes are bytes.

    Where the real service has the same bound, the default is its figure.
    """

    message_size: int = 65_536  # of all the messages of one publish together
    body_size: int = 2 * 1024 * 1024
    frame_size: int = 512 * 1024
    batch_specs: int = 100
    batch_channels: int = 100
    batch_messages: int = 1_000
    channels_per_connection: int = 200

    history_age: float = 120.0
    history_messages: int = 1_000  # per channel
    history_bytes: int = 4 * 1024 * 1024  # per channel
    duplicate_window: float = 120.0
    duplicate_ids: int = 20_000  # per channel; the oldest are forgotten first
    outbox_bytes: int = 16 * 1024 * 1024  # unread by one connection; larger than any replayed history

    token_lifetime: float = 86_400.0
    revocable_token_lifetime: float = 3_600.0
    default_token_lifetime: float = 3_600.0
    clock_skew: float = 900.0  # between a TokenRequest's timestamp and now
    token_cache: int = 4_096

    connection_state_ttl: float = 120.0
    max_idle_interval: float = 15.0
    heartbeat_interval: float = 10.0
    reauth_lead: float = 30.0
    presence_grace: float = 15.0  # between an abrupt drop and the LEAVE of its members
    sync_page: int = 100  # members in one SYNC frame
    sweep_interval: float = 15.0
    recorded: int = 10_000  # messages kept by `AblyLocal.published`
