import json
import os
from dataclasses import dataclass
from pathlib import Path

from rdchat.local.stores.lock import DirectoryLock, owner_of
from rdchat.local.stores.places import own_directory
from rdchat.local.stores.postgres import EmbeddedPostgres
from rdchat.local.stores.server import Say, silent
from rdchat.local.stores.valkey import EmbeddedRedis


@dataclass(frozen=True, slots=True)
class StoreAddresses:
    """Where the embedded stores of a data directory answer; None for one that is not embedded.

    `database_url` is the service's, `owner_url` that of the schema's owner.
    """

    database_url: str | None
    redis_url: str | None
    owner_url: str | None = None


class EmbeddedStores:
    """The stores of one service: the lock on its data directory and the servers it wants below that.

    With neither of them wanted nothing is locked: any number of replicas may then share the directory.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        postgres: bool,
        redis: bool,
        template: Path | None = None,
        say: Say = silent,
    ) -> None:
        self._data_dir = data_dir.resolve()
        self._lock = DirectoryLock(self._data_dir)
        directory = self._data_dir / "postgres"
        self._postgres = EmbeddedPostgres(directory, template=template, say=say) if postgres else None
        self._redis = EmbeddedRedis(self._data_dir / "valkey", say=say) if redis else None

    def start(self) -> StoreAddresses:
        """Start what is wanted and return the addresses; all of it or nothing. Blocking, for the main thread.

        Raise `DataDirectoryBusy` when another live process owns the data directory, `EmbeddedStoreError`
        when a server does not come up.
        """
        if self._postgres is None and self._redis is None:
            return StoreAddresses(None, None)
        own_directory(self._data_dir)
        self._lock.acquire()
        try:
            _record(self._data_dir).unlink(missing_ok=True)
            if self._postgres is not None:
                self._postgres.start()
            addresses = StoreAddresses(
                database_url=None if self._postgres is None else self._postgres.service_address,
                redis_url=None if self._redis is None else self._redis.start(),
                owner_url=None if self._postgres is None else self._postgres.owner_address,
            )
            self._write(addresses)
        except BaseException:
            self.stop()
            raise
        return addresses

    def stop(self) -> None:
        """Stop the servers in order and release the data directory. Idempotent."""
        if not self._lock.held:
            return
        try:
            for server in (self._redis, self._postgres):
                if server is not None:
                    server.stop()
        finally:
            _record(self._data_dir).unlink(missing_ok=True)
            self._lock.release()

    def _write(self, addresses: StoreAddresses) -> None:
        record = {
            "pid": os.getpid(),
            "postgres_pid": None if self._postgres is None else self._postgres.pid,
            "redis_pid": None if self._redis is None else self._redis.pid,
            "database_url": addresses.database_url,
            "owner_url": addresses.owner_url,
            "redis_url": addresses.redis_url,
        }
        unfinished = _record(self._data_dir).with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(record, file, indent=2)
        unfinished.replace(_record(self._data_dir))  # a reader sees all of it or nothing


def running(data_dir: Path) -> StoreAddresses | None:
    """Return what a live service on `data_dir` serves on; None when none runs there, or it is still starting.

    The record counts only while the process that wrote it holds the lock. Raise `PermissionError` when the
    directory is another user's.
    """
    owner = owner_of(data_dir)
    if owner is None:
        return None
    try:
        record = json.loads(_record(data_dir).read_text())
    except FileNotFoundError:
        return None
    if record["pid"] != owner:
        return None
    return StoreAddresses(record["database_url"], record["redis_url"], record.get("owner_url"))


def _record(data_dir: Path) -> Path:
    return data_dir / "running.json"
