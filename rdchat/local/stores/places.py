"""Where the servers' files go: private directories, and sockets whose path is short enough to exist."""

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from rdchat.local.stores.errors import EmbeddedStoreError
from rdchat.local.stores.launch import WAYS_OUT

_PRIVATE = 0o700
_LONGEST_SOCKET_PATH = 100
"""Bytes. The kernels' limits are 107 (Linux) and 103 (macOS); Valkey and PostgreSQL refuse what is longer."""


def own_directory(path: Path) -> None:
    """Make `path` (parents too) a directory of ours; refuse another user's.

    A new or empty one is closed to all others. One with things in it keeps its mode: it may be any
    directory that was named in a setting, and shutting that to the machine is not ours to do.
    """
    path.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise EmbeddedStoreError(
            f"{path} belongs to user {status.st_uid} and this is user {os.geteuid()}. "
            "Run rdchat as the user who created it, or choose another directory with RDCHAT_DATA_DIR."
        )
    if not any(path.iterdir()):
        path.chmod(_PRIVATE)


def private_directory(path: Path) -> None:
    """Make `path` a directory of ours that no one else may enter, or refuse it."""
    own_directory(path)
    if path.stat().st_mode & 0o077:
        raise EmbeddedStoreError(
            f"{path} must be closed to other users, for a database is in it: chmod 700 {path}"
        )


class SocketPlace:
    """The directory of a server's socket: `directory`/socket, or a private one below the temporary directory.

    The latter only where the former is unusable: longer than a socket's address may be, or with a comma,
    which separates hosts in a PostgreSQL address. Its name follows from `directory`, so a service that was
    killed leaves at most one behind and its successor takes that one.
    """

    def __init__(self, directory: Path, socket_name: str) -> None:
        self.path = directory / "socket"
        self._temporary: Path | None = None
        if not _usable(self.path / socket_name):
            self._temporary = _temporary_name(directory, socket_name)
            self.path = self._temporary / "socket"

    def make(self, uid: int, gid: int) -> None:
        """Create it, owned by the server's account (-1: ours)."""
        if self._temporary is not None:
            _make_temporary(self._temporary)
        self.path.mkdir(mode=_PRIVATE, exist_ok=True)
        give(self.path, uid, gid)

    def clear(self) -> None:
        """Remove it if it lies outside the data directory."""
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


def give(path: Path, uid: int, gid: int) -> None:
    """Make `path` the property of a server's account (-1: leave it)."""
    try:
        os.chown(path, uid, gid)
    except OSError as error:
        raise EmbeddedStoreError(
            f"Cannot give {path} to user {uid} ({error.strerror}). {WAYS_OUT}"
        ) from error


def _usable(path: Path) -> bool:
    return len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH and "," not in str(path)


def _temporary_name(directory: Path, socket_name: str) -> Path:
    name = (
        "rdchat-"
        + hashlib.sha256(f"{os.geteuid()}:{directory}".encode(errors="surrogateescape")).hexdigest()[:16]
    )
    for root in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - made privately
        if _usable(Path(root, name, "socket", socket_name)):
            return Path(root, name)
    raise EmbeddedStoreError(
        f"No directory for sockets: the path of {directory} is too long, and so is that of /tmp."
    )


def _make_temporary(path: Path) -> None:
    """Create `path`, or accept it if only we can have made it: anyone may write in the directory above."""
    try:
        path.mkdir(mode=_PRIVATE)
    except FileExistsError:
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise EmbeddedStoreError(
                f"{path} is wanted for sockets, but it is not a private directory of this user. Remove it."
            ) from None
