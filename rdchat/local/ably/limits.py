"""Every figure that bounds memory, size, rate or time, in one place."""

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
    batch_names: int = 1_000  # channels of all the specs, with repetitions
    publish_messages: int = 1_000  # in one publish, or one spec of a batch
    channels_per_connection: int = 200
    members_per_channel: int = 200

    connection_messages: float = 50.0  # a second, published on one connection
    connection_messages_fatal: float = 1_000.0  # a second: beyond this the connection fails
    connection_frames: float = 2_000.0  # a second, of any kind: likewise
    channel_publishes: float = 50.0  # a second, on one channel, by all clients
    channel_bytes: float = 1024 * 1024.0  # a second, on one channel

    history_age: float = 120.0
    persisted_age: float = 86_400.0  # of channels in a persisted namespace
    history_messages: int = 6_000  # per channel: as many as its publish rate allows in two minutes
    history_bytes: int = 16 * 1024 * 1024  # per channel
    memory_messages: int = 50_000  # of all the channels of an app together
    memory_bytes: int = 64 * 1024 * 1024  # likewise
    duplicate_window: float = 120.0
    replayed_messages: int = 1_000  # to one client that resumes or attaches to a channel
    rewound_messages: int = 100
    outbox_bytes: int = 4 * 1024 * 1024  # unread by one connection, if it reads nothing for `outbox_patience`
    outbox_patience: float = 2.0
    outbox_most_bytes: int = 64 * 1024 * 1024  # unread by one connection, however well it reads
    replayed_bytes: int = 2 * 1024 * 1024

    token_lifetime: float = 86_400.0
    revocable_token_lifetime: float = 3_600.0
    default_token_lifetime: float = 3_600.0
    clock_skew: float = 900.0  # between a TokenRequest's timestamp and now
    token_cache: int = 4_096
    revocation_margin: float = 30.0  # from a revocation with `allowReauthMargin` until it applies

    connection_state_ttl: float = 120.0
    max_idle_interval: float = 15.0
    heartbeat_interval: float = 10.0  # of silence: then a ping or a HEARTBEAT
    pong_wait: float = 5.0
    reauth_lead: float = 30.0
    presence_grace: float = 15.0  # between an abrupt drop and the LEAVE of its members
    closing_grace: float = 2.0  # that a client gets to read the reason why its websocket ends
    sync_page: int = 100  # members in one SYNC frame
    sweep_interval: float = 15.0
    recorded: int = 10_000  # messages kept by `AblyLocal.published`
    recorded_bytes: int = 64 * 1024 * 1024  # of them

    apps: int = 100  # that exist at a time beside those of the endpoint's own keys
    app_lifetime: float = 3_600.0  # of such an app, from its last use on
