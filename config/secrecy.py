"""Checks on secrets: that they cannot be guessed, and that not everyone on the machine can read them."""

from __future__ import annotations

import base64
from collections import Counter
from itertools import pairwise
from stat import S_IROTH, S_IWOTH, S_IXOTH
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

#: A random secret of the shortest length has about twice as many different bytes, also as hexadecimal digits.
_FEWEST_DIFFERENT: Final = 8
#: Ably's own keys had 16 random characters at first; what is shorter is none of theirs.
_SHORTEST: Final = 16
#: What people write in place of a secret. By chance, not one random secret in ten million has one of these.
_WORDS: Final = ("secret", "password", "passwd", "changeme", "change-me", "change_me", "example", "letmein")
#: Secrets that others print as examples.
_PRINTED: Final = frozenset({base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLLsw")})

_MAKE_ONE: Final = "Make a random one, e.g. openssl rand -base64 32"
_AS_SHOWN: Final = "Take a key of your app as Ably shows it."


def weakness(secret: bytes) -> str | None:
    """Say why a secret could be guessed, as the end of a sentence; None if nothing speaks against it.

    It is no proof of strength: it finds what was typed, repeated, counted up or copied.
    """
    if len(secret) < _SHORTEST:
        return f"is shorter than {_SHORTEST} bytes"
    if secret in _PRINTED:
        return "is an example that everyone can read"
    if any(word.encode() in secret.lower() for word in _WORDS):
        return "has a word in it that stands for a secret"
    return _regularity(secret)


def _regularity(secret: bytes) -> str | None:
    if _period(secret) <= len(secret) // 2:
        return "repeats itself"
    if len(set(secret)) < _FEWEST_DIFFERENT:
        return "has too few different bytes"
    steps = Counter((after - before) % 256 for before, after in pairwise(secret))
    return "counts up or down" if max(steps.values()) > len(secret) // 2 else None


def weak_secrets(values: Mapping[str, Any], given: Collection[str]) -> list[str]:
    """Return which of the secrets that were given could be guessed, a sentence each. No secret is in it."""
    secrets: list[tuple[str, str, bytes]] = []
    if "jwt_secret" in given and values.get("jwt_secret"):
        secrets.append(("RDCHAT_JWT_SECRET", "the secret", values["jwt_secret"].encode()))
    if "encryption_keys" in given:
        keys: Mapping[str, bytes] = values.get("encryption_keys") or {}
        secrets += [("RDCHAT_ENCRYPTION_KEYS", f"the key {kid}", key) for kid, key in keys.items()]
    if "ably_key" in given and values.get("ably_key"):
        secrets.append(("RDCHAT_ABLY_KEY", "its secret", values["ably_key"].partition(":")[2].encode()))
    for number, secret in enumerate(values.get("webhook_secrets") or (), start=1):
        secrets.append(("RDCHAT_WEBHOOK_SECRETS", f"secret {number}", secret))
    return [
        f"{variable}: {which} {why}. {_AS_SHOWN if 'ABLY' in variable else _MAKE_ONE}"
        for variable, which, secret in secrets
        if (why := weakness(secret))
    ]


def open_to_all(path: Path) -> str | None:
    """Say how everyone on the machine can reach a file's content, as the end of a sentence; None if not so.

    A file in a directory that is closed to others cannot be reached, whatever its own mode.
    """
    real = path.resolve()
    mode = real.stat().st_mode
    if not mode & (S_IROTH | S_IWOTH):
        return None
    if not all(parent.stat().st_mode & S_IXOTH for parent in real.parents):
        return None
    can = "read" if mode & S_IROTH else "written"
    return (
        f"can be {can} by every account of this machine: chmod 0640, or 0400 (Kubernetes: defaultMode: 0440 "
        "and fsGroup; Docker: mode: 0440)"
    )


def _period(secret: bytes) -> int:
    """Return the length of the shortest beginning that, repeated, is the secret (its end may be cut off)."""
    return next(
        length
        for length in range(1, len(secret) + 1)
        if all(secret[place] == secret[place % length] for place in range(len(secret)))
    )
