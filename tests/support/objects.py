"""Objects in memory, behind the interface of the storage of files."""

from __future__ import annotations


class ObjectsInMemory:
    """`taken` is how many bytes were read of parts so far, in `times` reads, `largest` the most at once."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.taken = 0
        self.times = 0
        self.largest = 0

    async def put(self, key: str, content: bytes) -> None:
        self.kept[key] = content

    async def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    async def get_range(self, key: str, start: int, length: int) -> bytes | None:
        whole = self.kept.get(key)
        if whole is None:
            return None
        part = whole[start : start + length]
        self.taken += len(part)
        self.times += 1
        self.largest = max(self.largest, len(part))
        return part

    async def delete(self, key: str) -> None:
        self.kept.pop(key, None)
