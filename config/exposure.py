"""Checks on how a service with a database of the operator's own reaches what it trusts.

What leaves the machine is encrypted, and the other end proves who it is. Connections that stay on the machine
- loopback addresses and Unix sockets - are not on the network: nothing is asked of them.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from config.values import some_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: What may go without, where RDCHAT_ALLOW_INSECURE names it.
INSECURE: Final = frozenset({"postgres", "redis", "jwks"})
_LOCAL_NAMES: Final = frozenset({"localhost", "ip6-localhost", "ip6-loopback"})


def waived(value: str) -> frozenset[str]:
    """Read what may go without, comma separated; nothing if the value is empty. Raise InvalidValueError."""
    return some_of(INSECURE, frozenset)(value) if value else frozenset()


def exposed(values: Mapping[str, Any], given: Collection[str], *, default_host: str = "") -> list[str]:
    """Return what would go over the network readable or unverified, a sentence each.

    `default_host` is where PostgreSQL is when its address does not say so (PGHOST).
    """
    allowed: Collection[str] = values.get("allow_insecure") or ()
    faults = []
    for field, variable in (
        ("database_url", "RDCHAT_DATABASE_URL"),
        ("migrate_database_url", "RDCHAT_MIGRATE_DATABASE_URL"),
    ):
        url = values.get(field)
        if url and "postgres" not in allowed and (fault := _postgres_fault(url, default_host)):
            faults.append(f"{variable}: {fault} {_waiver('postgres')}")
    url = values.get("redis_url")
    if url and "redis" not in allowed and (fault := _redis_fault(url)):
        faults.append(f"RDCHAT_REDIS_URL: {fault} {_waiver('redis')}")
    url = values.get("jwt_jwks_url")
    if url and "jwks" not in allowed and urlsplit(url).scheme != "https" and not _stays_here(_host(url)):
        faults.append(
            "RDCHAT_JWT_JWKS_URL: must be https, or others on the way could say whose tokens are good. "
            + _waiver("jwks")
        )
    if not {"ably_key", "ably_endpoint", "ably_local_port"} & set(given):
        faults.append(
            "RDCHAT_ABLY_KEY: required with RDCHAT_DATABASE_URL, or clients would be sent to an endpoint of "
            "this process. Where that is wanted, say so by RDCHAT_ABLY_LOCAL_PORT; another is named by "
            "RDCHAT_ABLY_ENDPOINT."
        )
    return faults


def _waiver(what: str) -> str:
    return f"Where the network is to be trusted, RDCHAT_ALLOW_INSECURE={what} says so."


def _postgres_fault(url: str, default_host: str) -> str | None:
    parts = urlsplit(url)
    options = parse_qs(parts.query)
    # As asyncpg reads it: what stands before the path counts first. Several hosts are separated by commas.
    netloc = parts.netloc.rpartition("@")[2] or options.get("host", [default_host])[0]
    hosts = [_without_port(unquote(one)) for one in netloc.split(",")]
    if all(_stays_here(host) for host in hosts):
        return None
    mode = options.get("sslmode", ["prefer"])[0].replace("_", "-")
    if mode == "verify-full":
        return None
    return (
        f"sslmode is {mode}, and must be verify-full: append ?sslmode=verify-full, with &sslrootcert=FILE "
        "for the certificates of the authority."
    )


def _redis_fault(url: str) -> str | None:
    parts = urlsplit(url)
    if parts.scheme == "unix" or _stays_here(parts.hostname or ""):
        return None
    if parts.scheme != "rediss":
        return "must be rediss://, or others on the network could read and change what is in it."
    options = parse_qs(parts.query)
    unverified = options.get("ssl_cert_reqs", ["required"])[0] != "required"
    unnamed = options.get("ssl_check_hostname", ["true"])[0].lower() in {"0", "f", "false", "n", "no"}
    if unverified or unnamed:
        return "must verify the server: take ssl_cert_reqs and ssl_check_hostname away."
    return None


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def _stays_here(host: str) -> bool:
    """Return whether a connection to a host stays on this machine; an empty one is a socket's default."""
    if not host or host.startswith(("/", "@")) or host.lower() in _LOCAL_NAMES:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
