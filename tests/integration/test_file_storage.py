"""One contract for every place where files may lie: a folder, and a bucket behind S3's protocol."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rdchat.common.errors import UnavailableError
from rdchat.files.storage import BucketStorage, FileStorage, FolderStorage
from tests.support import bucket

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    with bucket.s3_server() as address:
        yield address


def bucket_at(endpoint: str, name: str = bucket.BUCKET) -> BucketStorage:
    return BucketStorage(
        name,
        prefix="some/prefix",
        endpoint=endpoint,
        region="ap-southeast-3",
        access_key_id="key",
        secret_access_key="secret",
    )


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> FileStorage:
    if request.param == "folder":
        return FolderStorage(tmp_path / "files")
    return bucket_at(request.getfixturevalue("s3_server"))


@pytest.fixture(params=["folder", "bucket", "no bucket"])
def unreachable(request: pytest.FixtureRequest, tmp_path: Path) -> FileStorage:
    """A place that was lost, or never was."""
    if request.param == "folder":
        storage = FolderStorage(tmp_path / "files")
        (tmp_path / "files").rmdir()
        (tmp_path / "files").write_bytes(b"in the way")
        return storage
    if request.param == "bucket":
        return bucket_at("http://127.0.0.1:9")
    return bucket_at(request.getfixturevalue("s3_server"), "another-bucket")


async def test_what_is_put_can_be_got_until_it_is_deleted(storage: FileStorage) -> None:
    for content in (b"Halo", os.urandom(6 * 1024 * 1024)):
        await storage.put("session/one", content)
        assert await storage.get("session/one") == content
    await storage.put("session/two", b"2")
    await storage.delete("session/one")
    assert await storage.get("session/one") is None
    assert await storage.get("session/two") == b"2"


async def test_a_part_is_got_as_far_as_there_is_one(storage: FileStorage) -> None:
    content = os.urandom(100_000)
    await storage.put("session/one", content)
    assert await storage.get_range("session/one", 0, 10) == content[:10]
    assert await storage.get_range("session/one", 99_000, 5_000) == content[99_000:]
    assert await storage.get_range("session/one", 0, 500_000) == content


async def test_what_is_not_there_is_none_and_can_be_deleted(storage: FileStorage) -> None:
    assert await storage.get("session/never") is None
    assert await storage.get_range("session/never", 0, 10) is None
    await storage.delete("session/never")
    await storage.delete("session/never")


async def test_keys_do_not_mix_and_many_go_at_once(storage: FileStorage) -> None:
    keys = [f"{session}/{one}" for session in ("a", "b") for one in range(10)]
    await asyncio.gather(*(storage.put(key, key.encode()) for key in keys))
    assert await asyncio.gather(*(storage.get(key) for key in keys)) == [key.encode() for key in keys]
    await asyncio.gather(*(storage.delete(key) for key in keys[:10]))
    assert await asyncio.gather(*(storage.get(key) for key in keys)) == [None] * 10 + [
        key.encode() for key in keys[10:]
    ]


async def test_an_unreachable_place_is_unavailable(unreachable: FileStorage) -> None:
    with pytest.raises(UnavailableError):
        await unreachable.put("session/one", b"Halo")


async def test_a_folder_is_its_owners_alone(tmp_path: Path) -> None:
    await FolderStorage(tmp_path / "data" / "files").put("session/one", b"Halo")
    assert (tmp_path / "data" / "files").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "files" / "session" / "one").read_bytes() == b"Halo"


async def test_a_folder_may_be_named_from_where_the_service_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = FolderStorage(Path("data/files"))
    await storage.put("session/one", b"Halo")
    assert await storage.get("session/one") == b"Halo"
    assert (tmp_path / "data" / "files" / "session" / "one").read_bytes() == b"Halo"
