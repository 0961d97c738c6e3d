"""`run.py ably`: the endpoint as a program of its own, with TLS and with limits changed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from ably import AblyException, AblyRealtime, AblyRest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from run import cli

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.xdist_group("programs")

ROOT = Path(__file__).parents[2]
PATIENCE = 30
KEY = "app.key:a-secret-of-the-test"


@asynccontextmanager
async def running(directory: Path, *arguments: str) -> AsyncIterator[tuple[str, list[str]]]:
    """Run it; gives the address (`host:port`) and the lines that it began with. It must end by itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RDCHAT_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "run.py", "ably", "--port", "0", "--key", KEY, *arguments),
        cwd=ROOT,
        env=environment | {"RDCHAT_DATA_DIR": str(directory)},
        stdout=PIPE,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while not lines or not lines[-1].startswith("Nothing is kept"):
                line = await process.stdout.readline()
                assert line, f"it ended: {lines}"
                lines.append(line.decode().rstrip())
        address = re.search(r"https?://(\S+)", lines[0])
        assert address is not None
        yield address[1], lines
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_says_how_to_use_it_and_can_be_controlled(tmp_path: Path) -> None:
    async with running(tmp_path) as (address, lines), aiohttp.ClientSession() as http:
        assert lines[0] == f"Ably endpoint at http://{address}"
        assert any(KEY in line for line in lines)
        async with http.get(f"http://{address}/control/faults") as answer:
            assert (answer.status, await answer.json()) == (200, [])
        async with http.post(f"http://{address}/apps", json={"keys": [{}]}) as answer:
            assert (await answer.json())["port"] == int(address.rpartition(":")[2])


async def test_without_control_and_with_a_lower_limit(tmp_path: Path) -> None:
    arguments = ("--no-control", "--limit", "message_size=10")
    async with running(tmp_path, *arguments) as (address, lines), aiohttp.ClientSession() as http:
        assert not any("control" in line for line in lines)
        async with http.get(f"http://{address}/control/faults") as answer:
            assert answer.status == 404
        auth = aiohttp.encode_basic_auth(*KEY.split(":"))
        url = f"http://{address}/channels/c/messages"
        async with http.post(url, json={"data": "x" * 11}, headers={"Authorization": auth}) as answer:
            assert (answer.status, answer.headers["X-Ably-Errorcode"]) == (413, "40009")


async def test_with_tls_the_python_sdk_may_use_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = _certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with running(tmp_path, "--certificate", str(certificate)) as (address, lines):
        assert lines[0].startswith("Ably endpoint at https://")
        rest = AblyRest(key=KEY, endpoint=f"{address}/")
        realtime = AblyRealtime(key=KEY, endpoint=f"{address}/")
        try:
            async with asyncio.timeout(PATIENCE):
                heard: asyncio.Queue[object] = asyncio.Queue()
                await realtime.channels.get("c").subscribe(heard.put_nowait)
                await rest.channels.get("c").publish("n", "over TLS")
                assert getattr(await heard.get(), "data", None) == "over TLS"
                token = await rest.auth.request_token({"ttl": 60_000, "capability": {"c": ["subscribe"]}})
                narrow = AblyRest(token=token.token, endpoint=f"{address}/")
                with pytest.raises(AblyException) as refused:
                    await narrow.channels.get("c").publish("n", "x")
                assert refused.value.code == 40160
                await narrow.close()
        finally:
            await realtime.close()
            await rest.close()


async def test_an_open_address_is_told(tmp_path: Path) -> None:
    async with running(tmp_path, "--host", "0.0.0.0") as (address, lines):  # noqa: S104 - what is tested
        assert address.startswith("127.0.0.1:")
        assert any(line.startswith("All who reach this machine") for line in lines)


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    async with running(tmp_path) as (address, _):
        port = address.rpartition(":")[2]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "run.py", "ably", "--port", port, "--key", KEY), cwd=ROOT, stderr=PIPE
        )
        async with asyncio.timeout(PATIENCE):
            _, problem = await process.communicate()
        assert process.returncode == 1
        assert "Another port can be given by --port" in problem.decode()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--key", "no-key"], "--key must be app.id:secret"),
        (["--limit", "message_sise=3"], "there is no limit 'message_sise'; there is message_size"),
        (["--limit", "sync_page=many"], "sync_page must be a number, as in sync_page=100"),
        (["--limit", "sync_page=inf"], "sync_page must be a number"),
        (["--limit", "reauth_lead=inf"], "not without end"),
        (["--limit", "message_size=0"], "message_size must be more than 0"),
        (["--limit", "message_size"], "message_size must be a number"),
        (["--certificate", "/nowhere.pem"], "does not exist"),
        (["--private-key", "pyproject.toml"], "--private-key belongs to a --certificate"),
        (["--certificate", "pyproject.toml"], "pyproject.toml: no certificate in PEM"),
    ],
)
def test_what_it_refuses(arguments: list[str], problem: str, tmp_path: Path) -> None:
    outcome = CliRunner(env={"RDCHAT_DATA_DIR": str(tmp_path)}).invoke(cli, ["ably", *arguments])
    assert outcome.exit_code != 0
    assert problem in outcome.output


def _certificate(directory: Path) -> Path:
    """Make a certificate of 127.0.0.1, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "certificate.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path
