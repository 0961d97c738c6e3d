"""A store that speaks S3's protocol, in a thread."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "rdchat-files"


@contextmanager
def s3_server() -> Iterator[str]:
    """Run one with an empty bucket, on a free port. Gives its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    try:
        with urlopen(Request(f"{address}/{BUCKET}", method="PUT")):  # noqa: S310 - our own server
            pass
        yield address
    finally:
        server.stop()
