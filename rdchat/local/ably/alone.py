"""The endpoint as a program of its own: `run.py ably`."""

from __future__ import annotations

import asyncio
import difflib
import gc
import math
import signal
import ssl
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from .limits import Limits
from .server import AblyLocal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


# Seconds between two full rounds of the collector; a threshold at which it does none by itself.
_SHORTEST_WAIT, _LONGEST_WAIT, _NEVER = 10, 300, 1_000_000


def tls_context(certificate: Path, private_key: Path | None) -> ssl.SSLContext:
    """Load a certificate (with its chain) and its key, which may be in the same file; all in PEM.

    Raise ValueError when they cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # No one is asked for the pass phrase of an encrypted key.
        context.load_cert_chain(certificate, private_key, password="")
    except (OSError, ValueError) as error:
        where = f"{certificate}" if private_key is None else f"{certificate} and {private_key}"
        raise ValueError(
            f"{where}: no certificate in PEM with its unencrypted key in the same file, or by --private-key"
        ) from error
    return context


def changed_limits(changes: Mapping[str, str]) -> Limits:
    """Return the limits with some changed, by the names of `Limits`. Raise ValueError for unknown ones."""
    types = {field.name: float if field.type == "float" else int for field in fields(Limits)}
    values: dict[str, Any] = {}
    for name, text in changes.items():
        if name not in types:
            meant = difflib.get_close_matches(name, types, 3) or sorted(types)
            raise ValueError(f"there is no limit {name!r}; there is {', '.join(meant)}")
        try:
            values[name] = types[name](text)
        except ValueError:
            raise ValueError(f"{name} must be a number, as in {name}={getattr(Limits(), name)}") from None
        if not 0 < values[name] < math.inf:
            raise ValueError(f"{name} must be more than 0, and not without end")
    return replace(Limits(), **values)


async def serve_alone(
    *,
    host: str,
    port: int,
    key: str,
    limits: Limits,
    tls: ssl.SSLContext | None,
    controlled: bool,
    say: Callable[[str], None],
) -> None:
    """Serve until SIGINT or SIGTERM. `key` is `app.id:secret`. Raise OSError when the port is taken."""
    name, _, secret = key.partition(":")
    endpoint = AblyLocal(keys={name: secret}, limits=limits, controlled=controlled)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    await endpoint.start(host, port, tls=tls)
    collecting = asyncio.create_task(_collect_when_quiet(endpoint))
    try:
        say(_welcome(endpoint, key, tls=tls is not None, controlled=controlled))
        await ended.wait()
    finally:
        collecting.cancel()
        await endpoint.close()


async def _collect_when_quiet(endpoint: AblyLocal) -> None:
    """Run a full garbage collection while no messages flow, or else every five minutes.

    With two thousand connections that takes a quarter of a second, in which nothing is delivered; left to
    itself it happens three times a minute under load.
    """
    youngest, middle, _ = gc.get_threshold()
    gc.set_threshold(youngest, middle, _NEVER)
    heard = collected = waited = 0
    while True:
        await asyncio.sleep(1)
        waited += 1
        accepted = sum(app.channels.recorder.position for app in endpoint.apps)
        quiet, heard = accepted == heard, accepted
        if waited >= _LONGEST_WAIT or (quiet and heard != collected and waited >= _SHORTEST_WAIT):
            gc.collect()
            collected, waited = heard, 0


def _welcome(endpoint: AblyLocal, key: str, *, tls: bool, controlled: bool) -> str:
    address = endpoint.address
    url = f"{'https' if tls else 'http'}://{address}"
    javascript = [
        f"key: '{key}'",
        f"endpoint: '{address.rpartition(':')[0]}'",
        f"{'tlsPort' if tls else 'port'}: {endpoint.port}",
        f"tls: {str(tls).lower()}",
        "transports: ['web_socket']",
        "disableConnectivityCheck: true",
    ]
    # Over plain http the Python SDK sends tokens only, never a key.
    python = [
        f'key="{key}"',
        f'endpoint="{address}/"',
        f"tls={tls}",
        *([] if tls else ["use_token_auth=True"]),
    ]
    lines = [
        f"Ably endpoint at {url}",
        f"  key          {key}",
        f"  JavaScript   new Ably.Realtime({{ {', '.join(javascript)} }})",
        f"  Python       AblyRealtime({', '.join(python)})",
        f"  Test apps    POST {url}/apps, as with Ably's sandbox",
    ]
    if controlled:
        lines.append(f"  Faults       POST {url}/control/faults, from this machine only")
    if endpoint.host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        lines.append("All who reach this machine reach it, and may use the key and make apps.")
    return "\n".join([*lines, "Nothing is kept. Ctrl-C ends it."])
