"""Which route a request is for, where its path is plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

_NO_TEXTS: Final[Mapping[str, str]] = {}


class _Node(Generic[T]):
    __slots__ = ("children", "name", "named", "served")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        #: What follows where any text may stand, and the name of that text.
        self.named: _Node[T] | None = None
        self.name = ""
        #: By method.
        self.served: dict[str, T] = {}


class RouteTable(Generic[T]):
    """What serves which method and path. It finds what is written as routes are, and leaves the rest."""

    def __init__(self) -> None:
        self._root = _Node[T]()
        self._fixed: dict[tuple[str, str], T] = {}

    def add(self, method: str, path: str, served: T) -> None:
        """Put a route in; `path` may have names in braces, each a whole segment."""
        if "{" not in path:
            self._fixed[method, path] = served
        node = self._root
        for segment in path.split("/"):
            if segment.startswith("{"):
                if node.named is None:
                    node.named, node.name = _Node[T](), segment[1:-1]
                elif node.name != segment[1:-1]:
                    raise ValueError(f"{path} names a text that another route names {node.name}")
                node = node.named
            else:
                node = node.children.setdefault(segment, _Node[T]())
        node.served[method] = served

    def find(self, method: str, target: str) -> tuple[T, Mapping[str, str]] | None:
        """Return what serves a request, and the texts that its path names.

        None is no refusal: it may be another spelling of a path, or a method that the path does not have.
        """
        path, _, _ = target.partition("?")
        served = self._fixed.get((method, path))
        if served is not None:
            return served, _NO_TEXTS
        if "%" in path or "#" in target:
            return None
        node = self._root
        texts = {}
        for segment in path.split("/"):
            following = node.children.get(segment)
            if following is None:
                following = node.named
                if following is None or not segment:
                    return None
                texts[node.name] = segment
            node = following
        served = node.served.get(method)
        return (served, texts) if served is not None else None
