"""Storage of encrypted files: a folder on this machine, or a bucket in a store that speaks S3.

The only module that uses obstore. When the store cannot be reached, UnavailableError is raised; an object
that does not exist reads as None, and removing one that does not exist is no error.
"""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Protocol

from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from rdchat.common.errors import UnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from obstore.store import ClientConfig, RetryConfig

    from config import Settings

_CLIENT: Final[ClientConfig] = {
    "connect_timeout": timedelta(seconds=3),
    "timeout": timedelta(seconds=30),
}
_RETRIES: Final[RetryConfig] = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}


class FileStorage(Protocol):
    """Keeps bytes under keys: names with slashes between them."""

    async def put(self, key: str, content: bytes) -> None:
        """Keep an object; it is safe when this returns. Raise UnavailableError."""
        ...

    async def get(self, key: str) -> bytes | None:
        """Read an object; None if there is none. Raise UnavailableError."""
        ...

    async def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Read a part of an object, as much as there is of it; None if there is no object.

        Raise UnavailableError.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove an object, if it exists. Raise UnavailableError."""
        ...


class _ObjectStorage:
    def __init__(self, store: LocalStore | S3Store) -> None:
        self._store = store

    async def put(self, key: str, content: bytes) -> None:
        try:
            # In one request: parts of an interrupted upload would stay hidden in the bucket for ever.
            await self._store.put_async(key, content, use_multipart=False)
        except (BaseError, OSError, ValueError) as error:
            raise UnavailableError("storage of files") from error

    async def get(self, key: str) -> bytes | None:
        try:
            found = await self._store.get_async(key)
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None
        except (BaseError, OSError, ValueError) as error:
            raise UnavailableError("storage of files") from error

    async def get_range(self, key: str, start: int, length: int) -> bytes | None:
        try:
            return bytes(await self._store.get_range_async(key, start=start, length=length))
        except FileNotFoundError:
            return None
        except (BaseError, OSError, ValueError) as error:
            raise UnavailableError("storage of files") from error

    async def delete(self, key: str) -> None:
        try:
            await self._store.delete_async(key)
        except FileNotFoundError:
            pass
        except (BaseError, OSError, ValueError) as error:
            raise UnavailableError("storage of files") from error


class FolderStorage(_ObjectStorage):
    """Keeps objects in a folder that only the service's user may enter."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        super().__init__(LocalStore(folder))

    async def put(self, key: str, content: bytes) -> None:
        """Keep an object, and wait until it is on the disk."""
        await super().put(key, content)
        try:
            await asyncio.to_thread(self._settle, PurePosixPath(key))
        except OSError as error:
            raise UnavailableError("storage of files") from error

    def _settle(self, key: PurePosixPath) -> None:
        # The file, its entry in the folder, and the folder's own entry, which may be new.
        for one in (key, *key.parents):
            descriptor = os.open(self._folder / one, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


class BucketStorage(_ObjectStorage):
    """Keeps objects in a bucket, below a prefix.

    `endpoint` is the address of a store other than Amazon's; plain `http://` is for stores nearby.
    Without keys, the machine's own credentials are used, where its provider gives it any.
    """

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        endpoint: str | None = None,
        region: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
    ) -> None:
        client: ClientConfig = {**_CLIENT, "allow_http": bool(endpoint and endpoint.startswith("http://"))}
        options = {
            "endpoint": endpoint,
            "region": region,
            "access_key_id": access_key_id,
            "secret_access_key": secret_access_key,
        }
        super().__init__(
            S3Store(
                bucket,
                prefix=prefix or None,
                client_options=client,
                retry_config=_RETRIES,
                virtual_hosted_style_request=endpoint is None,
                **{name: value for name, value in options.items() if value is not None},  # type: ignore[arg-type]
            )
        )


def storage_for(settings: Settings) -> FileStorage:
    """Build the storage that the settings name."""
    if settings.storage_url is None:
        return FolderStorage(settings.data_dir / "attachments")
    bucket, _, prefix = settings.storage_url.removeprefix("s3://").partition("/")
    return BucketStorage(
        bucket,
        prefix=prefix.strip("/"),
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
    )
