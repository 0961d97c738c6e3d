"""What operators do with the keys that encrypt what is stored: look at them, make one, change to another."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

from config.development import add_encryption_key
from rdchat.common.clock import SystemClock, iso
from rdchat.operations.administration import make_keys, opened_database
from rdchat.postgres.key_checks import check_ring
from rdchat.postgres.key_rotation import list_key_uses, rewrap
from rdchat.postgres.pool import acquire
from rdchat.security.encryption import KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from config import Settings
    from rdchat.common.stores import Addresses

_SAYS = {
    "current": "wraps new data keys",
    "held": "opens what it wraps",
    "retired": "wraps nothing any more",
    "missing": "MISSING in RDCHAT_ENCRYPTION_KEYS",
    "wrong": "ANOTHER KEY of this name is in RDCHAT_ENCRYPTION_KEYS",
}
#: What has to be done with a new key where the settings are the operator's, in this order.
_STEPS = """\
1. Add it at the END of RDCHAT_ENCRYPTION_KEYS of every replica, and restart them one by one.
   Now all of them can open what it wraps.
2. Move it to the FRONT, and restart them one by one. It wraps what is new.
3. `run.py keys rewrap` wraps all the rest with it, while the service runs.
4. `run.py keys status`: when the old key has no data keys any more, take it out of the setting."""


async def show_keys(settings: Settings, addresses: Addresses) -> tuple[list[str], bool]:
    """List the keys, and how many data keys each wraps. Return the lines, and whether nothing is wrong."""
    keys = make_keys(settings)
    async with opened_database(addresses, settings, as_owner=True) as pool:
        uses = await list_key_uses(pool, keys)
    width = max(len(one.kid) for one in uses)
    lines = [
        f"{one.kid:<{width}}  {one.data_keys:>10,} data keys  {_SAYS[one.state]}"
        f"{f', since {iso(one.since)}' if one.since is not None else ''}"
        for one in uses
    ]
    return lines, all(one.state not in ("missing", "wrong") for one in uses)


def make_key(settings: Settings, kid: str | None) -> list[str]:
    """Make a key of the ring, and say how it comes into use; in development it is put into use at once.

    Raise LookupError for a name that is taken.
    """
    kid = kid or f"k{SystemClock().now():%Y%m%d}"
    if kid in settings.encryption_keys:
        raise LookupError(f"There is a key {kid!r} already; another name can be given by --id.")
    entry = f"{kid}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"
    if add_encryption_key(settings.data_dir, settings.encryption_keys, entry):
        return [
            f"The secrets in {settings.data_dir} have a new key, {kid}, which the next start uses.",
            "Then `run.py keys rewrap` wraps with it what the old one has wrapped.",
        ]
    return [entry, "", "A new key; it is kept nowhere else.", *_STEPS.splitlines()]


async def rewrap_keys(
    settings: Settings, addresses: Addresses, *, say: Callable[[str], None]
) -> tuple[list[str], bool]:
    """Wrap all data keys with the current key, and say how far that is. Return whether all of them opened.

    Raise WrongKeyError.
    """
    keys = make_keys(settings)
    # Keys are forgotten by none but the owner.
    async with opened_database(addresses, settings, as_owner=True) as pool:
        async with acquire(pool) as connection:
            await check_ring(connection, keys.ring)
        result = await rewrap(pool, keys, progress=lambda done: say(f"{done:,} data keys"))
    lines = [f"{result.done:,} data keys are wrapped with {keys.ring.current} now."]
    if result.failed:
        lines.append(f"{result.failed:,} do not open, and stay as they are: see the log.")
    return lines, not result.failed
