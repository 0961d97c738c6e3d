"""The resources of what this endpoint does not have: edits and versions of messages, annotations, objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from .http import read_body
from .resources import admitted
from .unsupported import annotation_refusal, edit_refusal, immutable_refusal, objects_refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .apps import Apps
    from .grants import Grant


class UnsupportedResources:
    """The handlers; each refuses, as `unsupported` says."""

    def __init__(self, apps: Apps) -> None:
        self._apps = apps

    def routes(self) -> Iterator[web.RouteDef]:
        """Return the routes to add to an application."""
        message = "/channels/{channel}/messages/{serial}"
        yield web.patch(message, self.edit)
        for path in (message, f"{message}/versions"):
            yield web.get(path, self.versions)
        yield web.route("*", f"{message}/annotations", self.annotations)
        for path in ("object", "objects", "objects/{object}"):
            yield web.route("*", f"/channels/{{channel}}/{path}", self.objects)

    async def edit(self, request: web.Request) -> web.Response:
        """Refuse to update, delete or append to a message, as the `action` of the body says."""
        grant, channel = self._admitted(request)
        body = await read_body(request)
        raise edit_refusal(body.get("action") if isinstance(body, dict) else None, grant, channel)

    async def versions(self, request: web.Request) -> web.Response:
        """Refuse to find a message by its serial, or its versions."""
        grant, channel = self._admitted(request)
        grant.capability.require(channel, "history")
        raise immutable_refusal()

    async def annotations(self, request: web.Request) -> web.Response:
        """Refuse to list, publish or delete annotations."""
        reads = request.method in ("GET", "HEAD")
        operation = "annotation-subscribe" if reads else "annotation-publish"
        raise annotation_refusal(operation, *self._admitted(request))

    async def objects(self, request: web.Request) -> web.Response:
        """Refuse to read or change objects."""
        reads = request.method in ("GET", "HEAD")
        raise objects_refusal("object-subscribe" if reads else "object-publish", *self._admitted(request))

    def _admitted(self, request: web.Request) -> tuple[Grant, str]:
        return admitted(self._apps, request)[1], request.match_info["channel"]
