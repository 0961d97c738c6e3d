"""Secrets for development: made once per data directory, never used with a database of the operator's own."""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILE = "secrets.json"


def add_encryption_key(data_dir: Path, in_use: Mapping[str, bytes], entry: str) -> bool:
    """Put a new key (`kid:base64`) before those of the data directory.

    Return False, and change nothing, where the keys in use (by key id) are not from there.
    """
    path = Path(data_dir) / _FILE
    try:
        stored: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    kids = [one.partition(":")[0] for one in stored["encryption_keys"].split(",")]
    if kids != list(in_use):
        return False
    stored["encryption_keys"] = f"{entry},{stored['encryption_keys']}"
    draft = path.with_name(f"{_FILE}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)
    return True


def development_secrets(data_dir: Path) -> dict[str, str]:
    """Return the data directory's secrets, created on first use (readable by the owner alone).

    Keys: `jwt_secret`, `encryption_keys` (`kid:base64`), `ably_key` (`app.key:secret`).
    """
    path = Path(data_dir) / _FILE
    try:
        stored: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = {
            "jwt_secret": secrets.token_urlsafe(48),
            "encryption_keys": f"dev1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            "ably_key": f"rdchat.local:{secrets.token_urlsafe(32)}",
        }
        # Written beside it and linked into place: two processes that start together read the same file.
        draft = path.with_name(f"{_FILE}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(fresh, indent=2) + "\n", encoding="utf-8")
        try:
            os.link(draft, path)
        except FileExistsError:
            return development_secrets(data_dir)
        finally:
            draft.unlink()
        return fresh
    return stored
