"""Where webhooks connect to: every address is judged, however it is written and whoever resolved it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from aiohttp.abc import AbstractResolver
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rdchat.common.clock import SystemClock
from rdchat.webhooks.addresses import is_public
from rdchat.webhooks.sender import Sender, SendError
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp.abc import ResolveResult

SECRET = b"s" * 32


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.0.1",
        "172.32.0.1",
        "2606:4700:4700::1111",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - nothing is bound to it
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.0.10",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::10.0.0.1",
        "::8.8.8.8",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:8.8.8.8",
        "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::808:808",
        "100::1",
        "2001::1",
        "2001:0:808:808::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%lo",
        "2606:4700:4700::1111%lo",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "localhost",
        "",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


class Names(AbstractResolver):
    """A DNS of one's own: each look-up gives the next list of addresses, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002
    ) -> list[ResolveResult]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in answer
        ]

    async def close(self) -> None: ...


async def refusal(url: str, **options: Any) -> str:
    sender = Sender(url, [SECRET], SystemClock(), allow_private=False, **options)
    try:
        with pytest.raises(SendError) as caught:
            await sender.post(uuid4(), b"{}")
    finally:
        await sender.close()
    return str(caught.value)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address that anything in this test connects to, or tries to."""
    seen: list[Any] = []
    loop_type = asyncio.SelectorEventLoop
    original = loop_type.sock_connect

    async def watched(self: asyncio.SelectorEventLoop, sock: socket.socket, address: Any) -> None:
        seen.append(address[0])
        if address[0] == "8.8.8.8":
            raise ConnectionRefusedError("the public internet is not part of this test")
        await original(self, sock, address)

    monkeypatch.setattr(loop_type, "sock_connect", watched)
    return seen


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "127.0.0.1.",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:10.0.0.1]",
        "[0:0:0:0:0:0:0:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[fe80::1%25lo]",
        "169.254.169.254",
        "10.0.0.1",
    ],
)
async def test_however_a_private_address_is_written_nothing_connects_to_it(
    host: str, connections: list[Any]
) -> None:
    async with Receiver.running() as receiver:
        url = receiver.url.replace("127.0.0.1", host)
        assert await refusal(url)
        assert (receiver.received, connections) == ([], [])


async def test_a_refusal_names_the_address() -> None:
    assert await refusal("http://127.0.0.1:9/") == "127.0.0.1 is not a public address"
    told = await refusal("http://hooks.example/", resolver=Names(["10.1.2.3"]))
    assert told == "10.1.2.3 is not a public address"


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["169.254.169.254"],
        ["127.0.0.1", "8.8.8.8"],
        ["8.8.8.8", "127.0.0.1"],
        ["8.8.8.8", "::1"],
    ],
)
async def test_a_name_that_leads_inside_is_not_followed_there(
    answer: list[str], connections: list[Any]
) -> None:
    async with Receiver.running() as receiver:
        url = receiver.url.replace("127.0.0.1", "hooks.example")
        assert await refusal(url, resolver=Names(answer))
        assert receiver.received == []
        assert set(connections) <= {"8.8.8.8"}


async def test_the_address_that_was_checked_is_the_one_connected_to(connections: list[Any]) -> None:
    """DNS rebinding: public when it is checked, private a moment later. There is one look-up."""
    async with Receiver.running() as receiver:
        url = receiver.url.replace("127.0.0.1", "hooks.example")
        names = Names(["8.8.8.8"], ["127.0.0.1"])
        sender = Sender(url, [SECRET], SystemClock(), allow_private=False, resolver=names)
        for looked_up, tried in ((1, ["8.8.8.8"]), (2, ["8.8.8.8"])):
            with pytest.raises(SendError):
                await sender.post(uuid4(), b"{}")
            assert (len(names.asked), connections) == (looked_up, tried)
        await sender.close()
        assert receiver.received == []


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Receiver.running() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, receiver.url)
        assert await refusal("http://hooks.example/", resolver=Names(["10.0.0.1"]))
        assert receiver.received == []


def certificate_for(name: str, directory: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / f"{name}.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


async def test_the_name_of_the_address_is_what_tls_and_host_speak_of(tmp_path: Path) -> None:
    certificate = certificate_for("hooks.example", tmp_path)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate)
    named: list[str | None] = []
    theirs.sni_callback = lambda _socket, name, _context: named.append(name)
    ours = ssl.create_default_context(cafile=str(certificate))
    async with Receiver.running(tls=theirs) as receiver:
        for name, fine in (("hooks.example", True), ("other.example", False)):
            url = receiver.url.replace("127.0.0.1", name)
            sender = Sender(
                url, [SECRET], SystemClock(), allow_private=True, resolver=Names(["127.0.0.1"]), tls=ours
            )
            if fine:
                assert (await sender.post(uuid4(), b"{}")).status == 204
            else:
                with pytest.raises(SendError, match="ertificate"):
                    await sender.post(uuid4(), b"{}")
            await sender.close()
        assert named == ["hooks.example", "other.example"]
        assert [one.host.partition(":")[0] for one in receiver.received] == ["hooks.example"]
