"""One owner per directory: an advisory lock that the kernel drops with the process, however that ends."""

import fcntl
import os
import time
from pathlib import Path

from rdchat.local.stores.errors import DataDirectoryBusy

_GLANCE_SECONDS = 0.25
"""How long an owner-to-be keeps trying: `owner_of` holds the lock for an instant while it looks."""

_open_locks: set[int] = set()


def _close_in_child() -> None:
    """Let a forked child not hold what its parent owns: the lock belongs to every copy of the descriptor."""
    for descriptor in _open_locks:
        os.close(descriptor)
    _open_locks.clear()


# Programs started with exec never inherit it (Python opens files close-on-exec); bare forks are seen to here.
os.register_at_fork(after_in_child=_close_in_child)


class DirectoryLock:
    """The exclusive right to a directory, held from `acquire` until `release` or the end of the process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor: int | None = None
        self._holder = 0

    @property
    def held(self) -> bool:
        """Whether this object holds the lock; its copy in a forked child does not."""
        return self._descriptor is not None and self._holder == os.getpid()

    def acquire(self, *, wait: bool = False) -> None:
        """Take the lock, or raise `DataDirectoryBusy`; with `wait`, stay until the other owner is done."""
        if self.held:
            return
        descriptor = os.open(_file(self._directory), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if wait:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            else:
                self._insist(descriptor)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        except BaseException:
            os.close(descriptor)
            raise
        _open_locks.add(descriptor)
        self._descriptor, self._holder = descriptor, os.getpid()

    def release(self) -> None:
        """Release the lock. The file stays: unlinking it would let two owners lock two different files."""
        if self._descriptor is not None and self.held:
            _open_locks.discard(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _insist(self, descriptor: int) -> None:
        give_up = time.monotonic() + _GLANCE_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise self._busy(descriptor) from None
                time.sleep(0.01)
            else:
                return

    def _busy(self, descriptor: int) -> DataDirectoryBusy:
        owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "(unknown)"
        return DataDirectoryBusy(
            f"The data directory {self._directory} is in use by process {owner}. "
            "Stop that process, or give this one a directory of its own with RDCHAT_DATA_DIR."
        )


def owner_of(directory: Path) -> int | None:
    """Return the process id of the live owner of `directory`, None when no one owns it."""
    try:
        descriptor = os.open(_file(directory), os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        written = os.pread(descriptor, 32, 0).strip()
        return int(written) if written.isdigit() else None
    else:
        return None
    finally:
        os.close(descriptor)


def _file(directory: Path) -> Path:
    return directory / "lock"
