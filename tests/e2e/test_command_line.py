"""The command line, as an operator meets it: on the embedded default, in processes of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import jwt
import psutil
import pytest
from click.testing import CliRunner

from run import cli
from tests.support.database_users import as_owner
from tests.support.program import PATIENCE, ROOT, environment, run
from tests.support.service import ENCRYPTION_KEY, SECRET

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path

# One after another: these start programs all the time, which wakes two cores for a second each.
pytestmark = [pytest.mark.xdist_group("programs"), pytest.mark.usefixtures("commands")]


class Serving:
    def __init__(self, process: Process, address: str, welcome: str) -> None:
        self.process = process
        self.address = address
        self.welcome = welcome

    async def get(self, path: str, token: str | None = None) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with (
            aiohttp.ClientSession() as client,
            client.get(self.address + path, headers=headers) as answer,
        ):
            return answer.status, await answer.read()

    def stores(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    async def ended(self, number: signal.Signals) -> int:
        """Send a signal and wait until the service and its stores are gone."""
        stores = self.stores()
        self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            status = await self.process.wait()
        _, alive = psutil.wait_procs(stores, timeout=10)
        assert alive == []
        return status


@asynccontextmanager
async def serving(data_dir: Path, **more: str) -> AsyncIterator[Serving]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "run.py",
        "serve",
        cwd=ROOT,
        env=environment(data_dir, **more),
        stdout=PIPE,
        stderr=STDOUT,
    )
    assert process.stdout is not None
    welcome = ""
    try:
        async with asyncio.timeout(PATIENCE):
            while "Ctrl-C" not in welcome:
                line = (await process.stdout.readline()).decode()
                assert line, f"it ended instead of serving:\n{welcome}"
                welcome += line
        address = re.search(r"serving on (http://\S+)", welcome)
        assert address is not None
        yield Serving(process, address[1], welcome)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            await process.communicate()


async def token(data_dir: Path, *arguments: str) -> str:
    status, output = await run(data_dir, "token", *arguments)
    assert status == 0, output
    # What stands before it is said on standard error.
    return output.split()[-1]


async def test_a_token_lives_as_long_as_one_may(data_dir: Path) -> None:
    status, output = await run(data_dir, "token", "--hours", "25")
    assert status == 2
    assert "--hours must be at most 24, as RDCHAT_JWT_MAX_LIFETIME says." in " ".join(output.split())
    status, output = await run(data_dir, "token", "--hours", "25", RDCHAT_JWT_MAX_LIFETIME="90000")
    assert status == 0, output


async def test_a_token_says_whose_secret_signs_it_and_who_does_not_accept_it(
    data_dir: Path, tmp_path: Path
) -> None:
    campus, zone = str(uuid4()), "Asia/Jayapura"
    async with serving(data_dir) as service:
        port = service.address.rpartition(":")[2]
        more = ("--organization", campus, "--zone", zone)
        status, output = await run(data_dir, "token", *more, RDCHAT_PORT=port)
        assert (status, output.splitlines()[0]) == (0, f"Signed with the secret in {data_dir}.")
        assert "will not accept" not in output
        signed = output.split()[-1]
        claims = jwt.decode(signed, options={"verify_signature": False})
        assert (claims["organizationId"], claims["zoneinfo"]) == (campus, zone)
        status, body = await service.get("/api/v1/organization", signed)
        assert (status, json.loads(body)["data"]["organizationId"]) == (200, campus)
        # Another data directory, another secret: said on standard error, the token alone is printed.
        status, output = await run(tmp_path / "other", "token", RDCHAT_PORT=port)
        assert (status, f"The service on {service.address} will not accept it" in output) == (0, True)
        assert (await service.get("/api/v1/organization", output.split()[-1]))[0] == 401
        given = {"RDCHAT_PORT": port, "RDCHAT_JWT_SECRET": "a secret that is of another service"}
        _, output = await run(data_dir, "token", **given)
        assert output.startswith("Signed with RDCHAT_JWT_SECRET.\nThe service on ")
        alone = await asyncio.create_subprocess_exec(
            *(sys.executable, "run.py", "token"),
            cwd=ROOT,
            env=environment(data_dir, **given),
            stdout=PIPE,
            stderr=PIPE,
        )
        printed, _ = await alone.communicate()
        assert len(printed.split()) == 1
    # Where none runs there is none to ask.
    _, output = await run(data_dir, "token", RDCHAT_PORT=port)
    assert "will not accept" not in output
    for wrong in (("--zone", "Mars/X"), ("--organization", "campus")):
        status, output = await run(data_dir, "token", *wrong)
        assert (status, wrong[0] in output) == (2, True)


async def test_it_serves_with_three_psychologists_and_says_how_to_call_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        assert "local Ably endpoint" in service.welcome
        assert "run.py token --role client" in service.welcome
        assert (await service.get("/readyz"))[0] == 200
        assert (await service.get("/api/v1/psychologists"))[0] == 401
        status, body = await service.get("/api/v1/psychologists", await token(tmp_path, "--name", "Budi"))
        assert status == 200
        assert len(json.loads(body)["data"]["data"]) == 3
        assert await service.ended(signal.SIGINT) == 0


async def test_it_says_where_it_listens_and_how_it_is_reached(data_dir: Path) -> None:
    settings = {"RDCHAT_HOST": "0.0.0.0", "RDCHAT_PUBLIC_URL": "https://chat.example/rdchat/"}  # noqa: S104
    async with serving(data_dir, **settings) as service:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", service.address)
        for path in ("/", "/readyz"):
            assert f"https://chat.example/rdchat{path}\n" in service.welcome
        assert (await service.get("/readyz"))[0] == 200
        _, places = await service.get("/")
        assert json.loads(places)["openapi"] == "https://chat.example/rdchat/openapi.json"
        assert json.loads(places)["documentation"] == f"{service.address}/docs"
        _, document = await run(data_dir, "openapi", **settings)
        assert json.loads(document)["servers"][0]["url"] == "https://chat.example/rdchat"


async def test_data_survives_an_orderly_stop_and_a_killed_service(data_dir: Path) -> None:
    who = str(uuid4())
    async with serving(data_dir) as service:
        status, output = await run(data_dir, "psychologist", "--id", who, "--name", "Dr. Tetap")
        assert (status, "Dr. Tetap" in output) == (0, True)
        assert await service.ended(signal.SIGTERM) == 0
    async with serving(data_dir) as service:
        assert "Dr. Tetap" in (await run(data_dir, "psychologist"))[1]
        assert await service.ended(signal.SIGKILL) == -signal.SIGKILL
    async with serving(data_dir):
        assert "Dr. Tetap" in (await run(data_dir, "psychologist"))[1]


async def test_a_second_service_on_the_same_data_is_told_to_leave(data_dir: Path) -> None:
    async with serving(data_dir) as service:
        status, output = await run(data_dir, "serve")
        assert status == 1
        assert str(service.process.pid) in output
        assert "Traceback" not in output


async def test_a_port_that_is_taken_is_named(data_dir: Path, tmp_path: Path) -> None:
    async with serving(data_dir) as service:
        port = service.address.rpartition(":")[2]
        status, output = await run(tmp_path / "other", "serve", RDCHAT_PORT=port)
        assert status == 1
        assert port in output
        assert "Traceback" not in output


async def test_operators_commands_work_beside_the_service(data_dir: Path) -> None:
    async with serving(data_dir):
        status, output = await run(data_dir, "queue")
        assert status == 0
        assert "dead letters: 0" in output
        status, output = await run(data_dir, "queue", "retry", str(uuid4()))
        assert (status, output.strip()) == (0, "No dead letters.")
        status, output = await run(data_dir, "doctor")
        assert status == 0, output
        assert "PostgreSQL" in output
        status, output = await run(data_dir, "doctor", RDCHAT_ABLY_ENDPOINT="127.0.0.1:1")
        assert (status, "127.0.0.1:1: " in output) == (1, True), output
        assert (await run(data_dir, "migrate"))[1].strip() == "The schema is up to date."
        status, output = await run(data_dir, "diagram", "--session", str(uuid4()))
        assert (status, output.strip()) == (1, "Chat session not found")


async def test_a_psychologist_is_changed_field_by_field(data_dir: Path) -> None:
    who = str(uuid4())
    async with serving(data_dir):
        await run(data_dir, "psychologist", "--id", who, "--name", "Dr. Papua", "--timezone", "Asia/Jayapura")
        await run(data_dir, "psychologist", "--id", who, "--inactive")
        _, output = await run(data_dir, "psychologist", "--id", who, "--name", "Dr. Baru")
        assert f"{who}  inactive  Asia/Jayapura  Dr. Baru" in output
        status, output = await run(data_dir, "psychologist", "--id", who, "--timezone", "Mars/X")
        assert (status, "Unknown time zone." in output) == (1, True)
        for name in ("\u202e\u200b", "x" * 101):
            status, output = await run(data_dir, "psychologist", "--id", who, "--name", name)
            assert status == 1
            assert "  name: Must " in output
            status, output = await run(data_dir, "token", "--name", name)
            assert (status, "--name must" in output) == (2, True)
        _, output = await run(data_dir, "psychologist", "--id", who, "--name", " Dr.\u202e \t Baru ")
        assert "Asia/Jayapura  Dr. Baru" in output
        status, output = await run(data_dir, "psychologist", "--name", "Dr. Siapa")
        assert (status, "--id" in output) == (2, True)


async def test_dead_webhooks_are_shown_and_revived(database_url: str, redis_url: str, tmp_path: Path) -> None:
    hook = "https://hooks.example/rdchat?token=hidden"
    ids = [str(uuid4()), str(uuid4()), str(uuid4())]
    stores = {
        "RDCHAT_DATABASE_URL": database_url,
        "RDCHAT_REDIS_URL": redis_url,
        "RDCHAT_JWT_SECRET": SECRET,
        "RDCHAT_ENCRYPTION_KEYS": f"main:{base64.b64encode(ENCRYPTION_KEY).decode()}",
        "RDCHAT_ABLY_LOCAL_PORT": "0",
    }
    connection = await asyncpg.connect(database_url)
    await connection.executemany(
        "INSERT INTO webhook_deliveries (id, endpoint, type, body, created_at, due_at, attempts, status,"
        " last_error) VALUES ($1, $2, 'notification.x', 'encrypted', now(), now(), 10, $3, 'answered 500')",
        [(UUID(ids[0]), hook, "dead"), (UUID(ids[1]), hook, "dead"), (UUID(ids[2]), hook, "scheduled")],
    )
    status, output = await run(tmp_path, "queue", **stores)
    assert status == 0, output
    assert "webhooks waiting: 1" in output
    assert "dead webhooks: 2" in output
    assert f"  {ids[0]}  notification.x  https://hooks.example/rdchat  attempts 10  answered 500" in output
    assert "hidden" not in output
    assert ids[2] not in output
    why = ("--reason", "its receiver is back")
    status, output = await run(tmp_path, "queue", "retry-webhooks", *why, ids[0], **stores)
    assert (status, output.split()) == (0, ["scheduled", ids[0], "notification.x"])
    status, output = await run(tmp_path, "queue", "retry-webhooks", **stores)
    assert (status, output.split()) == (0, ["scheduled", ids[1], "notification.x"])
    assert (await run(tmp_path, "queue", "retry-webhooks", **stores))[1].strip() == "No dead webhooks."
    assert (await run(tmp_path, "queue", "retry-webhooks", "nonsense", **stores))[0] == 2
    left = await connection.fetch("SELECT DISTINCT attempts, due_at <= now() FROM webhook_deliveries")
    assert sorted(tuple(one) for one in left) == [(0, True), (10, True)]
    await connection.close()

    status, output = await run(tmp_path, "audit", "list", **stores)
    assert status == 0, output
    assert [ids[0] in line for line in output.splitlines()] == [True, False]
    assert "administration     retry_webhook  done  by -" in output
    assert "reason='its receiver is back'" in output
    status, output = await run(tmp_path, "audit", "verify", **stores)
    assert (status, output.strip()) == (
        0,
        "2 rows, 0 checkpoints, none of them kept outside: all as it was written",
    )
    owner = await asyncpg.connect(as_owner(database_url))
    altered = await owner.fetchval(
        "UPDATE audit SET actor_id = gen_random_uuid() WHERE subject_id = $1 RETURNING id", UUID(ids[1])
    )
    await owner.close()
    status, output = await run(tmp_path, "audit", "verify", **stores)
    assert (status, output.count("WRONG")) == (1, 1)
    assert f"WRONG: row {altered} " in output
    status, output = await run(tmp_path, "audit", "key", **stores)
    assert (status, len(output.strip())) == (0, 64)


async def test_operators_commands_work_without_the_service(tmp_path: Path) -> None:
    status, output = await run(tmp_path, "queue")
    assert status == 0
    assert "commits waiting for Ably: 0" in output


async def test_faults_in_the_settings_are_told_all_at_once(tmp_path: Path) -> None:
    status, output = await run(tmp_path, "serve", RDCHAT_PORT="x", RDCHAT_JWT_SECRET="short")
    assert status == 2
    assert "RDCHAT_PORT" in output
    assert "RDCHAT_JWT_SECRET" in output
    assert "Traceback" not in output


async def test_a_name_that_is_no_setting_keeps_the_service_from_starting(tmp_path: Path) -> None:
    status, output = await run(tmp_path / "data", "serve", RDCHAT_MIN_SESION="60")
    assert (status, "Did you mean RDCHAT_MIN_SESSION?" in output) == (2, True), output
    assert not (tmp_path / "data").exists()


async def test_the_settings_are_listed_without_secrets_and_with_faults(tmp_path: Path) -> None:
    secret = "korek api di atas meja kayu itu, basah"  # noqa: S105
    status, output = await run(tmp_path / "data", "settings", RDCHAT_JWT_SECRET=secret, RDCHAT_LANGUAGE="en")
    assert status == 0, output
    values = {line.split()[0]: line.split()[1] for line in output.splitlines()}
    assert (values["RDCHAT_JWT_SECRET"], values["RDCHAT_ABLY_KEY"]) == ("set", "unset")
    assert (values["RDCHAT_LANGUAGE"], values["RDCHAT_LOG_FORMAT"]) == ("en", "text")
    assert secret not in output
    status, output = await run(tmp_path / "data", "settings", RDCHAT_PORT="x", RDCHAT_COLOUR="red")
    assert (status, "RDCHAT_ROLES" in output) == (2, True), output
    assert "RDCHAT_PORT: Not a valid integer." in output
    assert "RDCHAT_COLOUR is not a setting." in output
    assert not (tmp_path / "data").exists(), "looking makes nothing"


def test_the_settings_are_printed_for_the_documentation() -> None:
    example = CliRunner().invoke(cli, ["settings", "--example"]).output
    assert example == (ROOT / "config" / "rdchat.env.example").read_text()
    rows = CliRunner().invoke(cli, ["settings", "--markdown"]).output
    readme = ROOT / "README.md"
    assert rows in readme.read_text()
    page = CliRunner().invoke(cli, ["settings", "--markdown", "--page", str(readme)]).output
    assert page == readme.read_text()
    assert CliRunner().invoke(cli, ["settings", "--page", str(readme)]).exit_code == 2


@pytest.mark.parametrize("command", ["serve", "doctor"])
async def test_a_broken_file_of_organisations_is_told_before_anything_starts(
    tmp_path: Path, command: str
) -> None:
    path = tmp_path / "organizations.toml"
    path.write_text('[default.texts.id]\nenable_chat = "Halo {client}"\nauto_end = "{"\n', encoding="utf-8")
    status, output = await run(tmp_path / "data", command, RDCHAT_ORGANIZATIONS=str(path))
    assert status == 2
    assert (
        f"RDCHAT_ORGANIZATIONS: {path}: default.texts.id.enable_chat: Unknown placeholder {{client}}"
        in output
    )
    assert "default.texts.id.auto_end: " in output
    assert "Traceback" not in output
    assert not (tmp_path / "data").exists()


async def test_a_database_that_does_not_answer_is_said(tmp_path: Path) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/rdchat"
    status, output = await run(
        tmp_path,
        "migrate",
        RDCHAT_DATABASE_URL=nowhere,
        RDCHAT_JWT_SECRET=SECRET,
        RDCHAT_ENCRYPTION_KEYS=f"main:{base64.b64encode(ENCRYPTION_KEY).decode()}",
        RDCHAT_ABLY_LOCAL_PORT="0",
    )
    assert status == 1
    assert "PostgreSQL" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("form", ["mermaid", "dot", "svg", "json", "markdown"])
async def test_the_diagram_is_exported(tmp_path: Path, form: str) -> None:
    status, output = await run(tmp_path, "diagram", "--format", form)
    assert status == 0
    assert "enable_chat" in output


async def test_every_command_explains_itself(tmp_path: Path) -> None:
    _, overview = await run(tmp_path, "--help")
    commands = re.findall(r"^  ([a-z]+)  ", overview, re.MULTILINE)
    assert {
        "serve",
        "migrate",
        "demo",
        "sandbox",
        "token",
        "psychologist",
        "diagram",
        "openapi",
        "asyncapi",
        "settings",
        "doctor",
        "queue",
        "audit",
        "ably",
    } <= set(commands)
    # In this process: what they explain is the same, and a Python for each takes a second of a whole core.
    for command in commands:
        explained = CliRunner().invoke(cli, [command, "--help"])
        assert (explained.exit_code, f"Usage: cli {command}" in explained.output) == (0, True)
