#!/usr/bin/env python3
"""The command line of rdchat. `run.py COMMAND --help` explains each command.

It is long because every command and its options stand here; what they do is in the modules that they call.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("ably") is None:
    # Called with the system's Python, as people do. The dependencies are in the virtual environment.
    _PYTHON = Path(__file__).with_name(".venv") / "bin" / "python"
    if not _PYTHON.exists() or Path(sys.prefix) == _PYTHON.parents[1]:
        sys.exit("The dependencies are not installed yet. `make run` installs them and starts the service.")
    os.execv(_PYTHON, [str(_PYTHON), *sys.argv])  # noqa: S606 - the same program, by the Python that has it all

from typing import TYPE_CHECKING

import click

from rdchat import __version__

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any
    from uuid import UUID

    from config import Settings
    from rdchat.common.stores import Addresses
    from statemachine import diagram as diagrams

# Each command imports what it needs itself: help comes without waiting for all of it.

#: The roles of a caller, the kinds of automation and of entries of the audit, by what they are called.
ROLES = ("client", "student", "employee", "psychologist", "supervisor", "super_admin")
AUTOMATIONS = ("initial_message", "enable_chat", "end_warning", "auto_end")
AUDIT_KINDS = (
    "sign_in_refused",
    "access_refused",
    "token_issued",
    "content_read",
    "state_changed",
    "administration",
    "person_exported",
    "person_erased",
    "hold_changed",
    "retention_applied",
)

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _say(text: str) -> None:
    click.echo(text)
    sys.stdout.flush()


def _settings() -> Settings:
    import config
    from rdchat.common.telemetry import configure_logging

    try:
        settings = config.load()
    except config.SettingsError as error:
        raise _unusable(error.faults) from None
    configure_logging(settings.log_format)
    return settings


def _unusable(faults: list[str]) -> SystemExit:
    click.echo("The settings cannot be used:", err=True)
    for fault in faults:
        click.echo(f"  {fault}", err=True)
    return SystemExit(2)


def _complain(error: Exception) -> SystemExit:
    click.echo("\n".join([str(error), *getattr(error, "__notes__", [])]), err=True)
    for field, texts in (getattr(error, "fields", None) or {}).items():
        click.echo(f"  {field}: {' '.join(texts)}", err=True)
    return SystemExit(1)


def _with_stores(work: Any) -> Any:  # noqa: ANN401 - `work` takes (settings, addresses), and its result is passed on
    import asyncio

    from rdchat.common.errors import RdchatError
    from rdchat.local.stores import EmbeddedStoreError
    from rdchat.local.stores.choice import any_stores

    settings = _settings()
    try:
        with any_stores(settings, _whisper) as addresses:
            coroutine: Coroutine[Any, Any, Any] = work(settings, addresses)
            return asyncio.run(coroutine)
    except (EmbeddedStoreError, LookupError, RdchatError) as error:
        raise _complain(error) from None


def _print_lines(work: Any) -> None:  # noqa: ANN401 - as `_with_stores` takes it
    for line in _with_stores(work):
        click.echo(line)


def _print_and_judge(work: Any) -> SystemExit:  # noqa: ANN401 - as `_with_stores` takes it
    """Print the lines of `work`, and return the end that it gives the program: whether all is well."""
    lines, fine = _with_stores(work)
    for line in lines:
        click.echo(line)
    return SystemExit(0 if fine else 1)


def _whisper(text: str) -> None:
    click.echo(text, err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="rdchat")
def cli() -> None:
    """Scheduled counselling by chat: the backend of Ruang Diri.

    Settings come from the environment; `settings` lists every one.
    """


@cli.command()
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="How many processes share the port; one for each processor is what makes sense.",
)
def serve(processes: int) -> None:
    """Serve one replica until Ctrl-C or SIGTERM."""
    import errno

    import uvloop

    from handlers.server.serving import serve as serve_replica
    from handlers.server.supervising import ProcessFailedError, supervise
    from rdchat.common.errors import RdchatError
    from rdchat.local.stores import EmbeddedStoreError
    from rdchat.local.stores.choice import own_stores

    settings = _settings()
    try:
        with own_stores(settings, _say) as addresses:
            if processes == 1:
                uvloop.run(serve_replica(settings, addresses, _say))
            else:
                command = [sys.executable, __file__, "process"]
                uvloop.run(supervise(settings, addresses, _say, command=command, processes=processes))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise _complain(
            RuntimeError(
                f"{error.strerror}\nAnother port can be set by RDCHAT_PORT or RDCHAT_ABLY_LOCAL_PORT."
            )
        ) from None
    except (EmbeddedStoreError, ProcessFailedError, RdchatError) as error:
        raise _complain(error) from None


@cli.command(hidden=True)
def process() -> None:
    """Be one of the processes that `serve --processes` starts."""
    import uvloop

    from handlers.server.supervising import ProcessFailedError, serve_shared
    from rdchat.common.errors import RdchatError

    settings = _settings()
    try:
        uvloop.run(serve_shared(settings))
    except (ProcessFailedError, OSError, RdchatError) as error:
        raise _complain(error) from None


@cli.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be moved.")
def timezones(*, dry_run: bool) -> None:
    """Move what a change of the tz database has shifted back to its wall time.

    What was promised is what a clock shows. `serve` looks at each start after a new release of the database.
    """
    from rdchat.runtime.commands import keep_wall_times

    async def work(settings: Settings, addresses: Addresses) -> list[str]:
        return await keep_wall_times(settings, addresses, dry_run=dry_run)

    _print_lines(work)


@cli.command()
def migrate() -> None:
    """Update the schema, as its owner (`serve` does so too, unless it has a role of its own)."""
    from rdchat.operations import administration

    applied = _with_stores(administration.migrate_now)
    _say("\n".join(f"applied {name}" for name in applied) or "The schema is up to date.")


@cli.group()
def database() -> None:
    """Look after the database's roles."""


@database.command()
@click.option("--apply", is_flag=True, help="Run the SQL, as PGUSER (PGPASSWORD), or else as the owner.")
@click.option("--owner", help="The role that owns the schema. [default: the one of its address]")
@click.option("--service", help="The role that serves. [default: the one of its address]")
@click.option("--schema", default="public", show_default=True, help="Where the tables are, or will be.")
def roles(*, apply: bool, owner: str | None, service: str | None, schema: str) -> None:
    """Print the SQL that makes the owner's and the service's role.

    Their names and passwords are those of RDCHAT_MIGRATE_DATABASE_URL and RDCHAT_DATABASE_URL. The service
    may then neither change the schema nor what was written down. It can be run again at any time, by a
    superuser or by an owner of the database who may make roles.
    """
    import asyncio

    from rdchat.common.errors import RdchatError
    from rdchat.operations.role_making import make_roles, script_of

    settings = _settings()
    try:
        script = script_of(settings, owner=owner, service=service, schema=schema)
        if not apply:
            click.echo(script.rstrip())
            return
        asyncio.run(make_roles(settings, script))
    except RdchatError as error:
        raise _complain(error) from None
    _say("The roles are made. Now: run.py migrate, as the owner.")


@cli.command()
@click.option(
    "--seconds",
    type=click.IntRange(12, 600),
    default=24,
    show_default=True,
    help="How long the session lasts.",
)
@click.option("--keep", type=click.Path(path_type=Path), help="Write transcript, timeline and diagram here.")
def demo(seconds: int, keep: Path | None) -> None:
    """Play one whole session, and check it.

    Genuine Ably SDK clients listen for both participants; what each saw is compared with what happened.
    """
    import asyncio

    from rdchat.local.demo import play

    raise SystemExit(asyncio.run(play(seconds=seconds, keep=keep)))


@cli.command()
@click.option(
    "--starts-in",
    type=click.IntRange(21, 3600),
    default=60,
    show_default=True,
    help="Seconds until the chat opens; the first message comes 20 seconds before.",
)
@click.option(
    "--seconds",
    type=click.IntRange(61, 3600),
    default=180,
    show_default=True,
    help="How long it is open; the end is announced a minute before.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="[default: any free one]")
@click.option(
    "--ably-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="The local Ably endpoint's. [default: any free one]",
)
def sandbox(*, starts_in: int, seconds: int, port: int, ably_port: int) -> None:
    """Serve short sessions to try by hand, until Ctrl-C.

    In a data directory of its own, which is thrown away. Prints addresses, tokens of a client, a psychologist
    and an administrator, a session that is about to start, and lines for a shell to try all of it.
    """
    import asyncio
    from datetime import timedelta

    from rdchat.local.sandbox import play
    from rdchat.local.sandbox.playground import Sandbox

    wanted = Sandbox(
        starts_in=timedelta(seconds=starts_in),
        lasts=timedelta(seconds=seconds),
        port=port,
        ably_port=ably_port,
    )
    raise SystemExit(asyncio.run(play(wanted, _say)))


@cli.command()
@click.option("--role", type=click.Choice(ROLES), default="client", show_default=True)
@click.option("--sub", "person_id", type=click.UUID, help="Who it is for; a new id if not given.")
@click.option("--name", default="Budi", show_default=True, help="Their full name.")
@click.option("--email")
@click.option("--organization", type=click.UUID, help="Their organisation.")
@click.option("--zone", help="Their time zone, by its IANA name.")
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True),
    default=12.0,
    show_default=True,
    help="How long it is valid.",
)
def token(
    *,
    role: str,
    person_id: UUID | None,
    name: str,
    email: str | None,
    organization: UUID | None,
    zone: str | None,
    hours: float,
) -> None:
    """Print a token to call the service with.

    It is a JWT, as the identity provider would issue it in production. Beside it, on standard error, is said
    whose secret signs it, and whether the service that runs here has another.
    """
    import asyncio
    from datetime import timedelta
    from uuid import uuid4

    import config
    from rdchat.common.clock import SystemClock
    from rdchat.domain.booking import is_zone
    from rdchat.domain.person import LONGEST_NAME, Caller, Role, clean_name
    from rdchat.local.probe import is_secret_of_service, service_address
    from rdchat.security.caller_tokens import CallerTokens

    if zone is not None and not is_zone(zone):
        raise click.UsageError("--zone must be the IANA name of a time zone, as Asia/Jakarta.")
    if not clean_name(name):
        raise click.UsageError("--name must not be empty.")
    if len(name) > LONGEST_NAME:
        raise click.UsageError(f"--name must have at most {LONGEST_NAME} characters.")
    settings = _settings()
    longest = settings.jwt_max_lifetime / timedelta(hours=1)
    if hours > longest:
        raise click.UsageError(f"--hours must be at most {longest:g}, as RDCHAT_JWT_MAX_LIFETIME says.")
    tokens = CallerTokens(
        algorithms=settings.jwt_algorithms,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        clock=SystemClock(),
        secret=settings.jwt_secret,
    )
    caller = Caller(person_id or uuid4(), Role(role), clean_name(name), email, organization, zone)
    try:
        issued = tokens.issue(caller, lifetime=timedelta(hours=hours))
    except ValueError as error:
        raise _complain(error) from None
    variables = config.variables_of("jwt_secret", os.environ)
    _whisper(f"Signed with {variables[0] if variables else f'the secret in {settings.data_dir.resolve()}'}.")
    if asyncio.run(is_secret_of_service(settings, tokens)) is False:
        _whisper(
            f"The service on {service_address(settings)} will not accept it: it runs with another "
            "RDCHAT_DATA_DIR or RDCHAT_JWT_SECRET."
        )
    click.echo(issued)


@cli.command()
@click.option("--id", "psychologist_id", type=click.UUID, help="Who; without it, all are listed.")
@click.option("--name", help="Their full name.")
@click.option("--timezone", help="Their time zone. [default: as it is, or Asia/Jakarta]")
@click.option(
    "--active/--inactive", default=None, help="Whether they can be booked. [default: as it is, or yes]"
)
def psychologist(
    psychologist_id: UUID | None, name: str | None, timezone: str | None, *, active: bool | None
) -> None:
    """List psychologists, or create or change one."""
    from rdchat.operations import administration

    if psychologist_id is None and (name, timezone, active) != (None, None, None):
        raise click.UsageError("Whose? Give --id as well.")

    async def work(settings: Settings, addresses: Addresses) -> list[str]:
        return await administration.psychologists(
            settings, addresses, psychologist_id, name=name, timezone=timezone, is_active=active
        )

    _print_lines(work)


@cli.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["mermaid", "dot", "svg", "png", "json", "markdown"]),
    default="mermaid",
    show_default=True,
)
@click.option(
    "--session", "session_id", type=click.UUID, help="Mark this session's state and the way it took."
)
def diagram(form: str, session_id: UUID | None) -> None:
    """Export the state diagram to standard output."""
    import orjson

    from rdchat.operations import administration, drawing
    from statemachine import diagram as diagrams

    path = None
    if session_id is not None:

        async def work(settings: Settings, addresses: Addresses) -> diagrams.Path:
            return await administration.path_of(settings, addresses, session_id)

        path = _with_stores(work)
    if form == "png":
        sys.stdout.buffer.write(drawing.png(path))
        return
    text = {
        "mermaid": lambda: diagrams.mermaid(path),
        "dot": lambda: diagrams.dot(path),
        "svg": lambda: drawing.svg(path),
        "json": lambda: orjson.dumps(diagrams.as_json(path), option=orjson.OPT_INDENT_2).decode() + "\n",
        "markdown": diagrams.markdown,
    }[form]()
    click.echo(text, nl=False)


@cli.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    import orjson

    from handlers.server.application import api_document

    click.echo(orjson.dumps(api_document(_settings().base_url), option=orjson.OPT_INDENT_2))


@cli.command()
def asyncapi() -> None:
    """Print the AsyncAPI document: the realtime events."""
    import orjson

    from handlers.server.application import events_document

    click.echo(orjson.dumps(events_document(), option=orjson.OPT_INDENT_2))


@cli.command("settings")
@click.option("--example", "form", flag_value="example", help="Print config/rdchat.env.example.")
@click.option("--markdown", "form", flag_value="markdown", help="Print the README's rows.")
@click.option("--page", type=_FILE, help="With --markdown: print this page with its rows brought up to date.")
def show_settings(form: str | None, page: Path | None) -> None:
    """List every setting: its value now (of secrets, only whether there is one), default and meaning."""
    import shutil

    import config
    from config import rendering

    if page is not None and form != "markdown":
        raise click.UsageError("--page belongs to --markdown.")
    if form == "example":
        click.echo(rendering.example(), nl=False)
    elif form == "markdown":
        rows = rendering.markdown() if page is None else rendering.with_rows(page.read_text("utf-8"))
        click.echo(rows, nl=False)
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        _say(rendering.listing(os.environ, width).rstrip())
        if faults := config.faults_in(os.environ):
            raise _unusable(faults)


@cli.command()
def doctor() -> None:
    """Check settings, stores, Ably and where files lie."""
    from rdchat.operations.doctor import examine

    raise SystemExit(_with_stores(examine))


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="0: any free one. [default: RDCHAT_ABLY_LOCAL_PORT, 8081]"
)
@click.option("--key", metavar="APP.ID:SECRET", help="[default: the one that the service uses]")
@click.option("--certificate", type=_FILE, help="Speak TLS, with this certificate (PEM).")
@click.option("--private-key", type=_FILE, help="Its key, if that is in another file.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a limit, as in message_size=1000; as often as you like.",
)
@click.option(
    "--control/--no-control", default=True, show_default=True, help="Whether faults may be asked for."
)
def ably(
    *,
    host: str,
    port: int | None,
    key: str | None,
    certificate: Path | None,
    private_key: Path | None,
    limits: tuple[str, ...],
    control: bool,
) -> None:
    """Run the local Ably endpoint alone, for SDKs and programs that are tested against it.

    docs/ably-local.md says what it can do. A service uses it with RDCHAT_ABLY_ENDPOINT=host:port.
    """
    import re
    import secrets

    import uvloop

    from rdchat.local.ably import alone as ably_alone

    settings = _settings()
    if private_key is not None and certificate is None:
        raise click.UsageError("--private-key belongs to a --certificate.")
    key = key or (settings.ably_key if settings.ably_is_local else f"local.key:{secrets.token_urlsafe(32)}")
    if re.fullmatch(r"[^.:\s]+\.[^.:\s]+:\S+", key) is None:
        raise click.UsageError("--key must be app.id:secret.")
    try:
        changed = ably_alone.changed_limits(dict(limit.partition("=")[::2] for limit in limits))
        tls = None if certificate is None else ably_alone.tls_context(certificate, private_key)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        uvloop.run(
            ably_alone.serve_alone(
                host=host,
                port=settings.ably_local_port if port is None else port,
                key=key,
                limits=changed,
                tls=tls,
                controlled=control,
                say=_say,
            )
        )
    except OSError as error:
        raise _complain(RuntimeError(f"{error.strerror}\nAnother port can be given by --port.")) from None


@cli.group(invoke_without_command=True)
@click.pass_context
def queue(context: click.Context) -> None:
    """Show the delay queue: depth, head, leases, dead letters, also those of webhooks."""
    from rdchat.operations import administration

    if context.invoked_subcommand is None:
        _print_lines(administration.show_queue)


@queue.command()
@click.argument("subject_id", metavar="ID", type=click.UUID)
@click.option("--reason", help="Why, for the audit.")
def retry(subject_id: UUID, reason: str | None) -> None:
    """Schedule the dead letters of a session again; the reminders of a counselling, by its ID."""
    from rdchat.operations import administration

    async def work(settings: Settings, addresses: Addresses) -> list[str]:
        return await administration.retry_dead_letters(settings, addresses, subject_id, reason=reason)

    _print_lines(work)


@queue.command()
@click.argument("session_id", type=click.UUID)
@click.argument("kind", type=click.Choice(AUTOMATIONS))
@click.option("--reason", help="Why, for the audit.")
def drop(session_id: UUID, kind: str, reason: str | None) -> None:
    """Cancel one automation of a session, dead letter or not.

    The end of a session cannot be dropped: the chat would stay open for ever.
    """
    from rdchat.operations import administration
    from statemachine import AutomationKind

    async def work(settings: Settings, addresses: Addresses) -> list[str]:
        return await administration.drop_automation(
            settings, addresses, session_id, AutomationKind(kind), reason=reason
        )

    _print_lines(work)


@queue.command("retry-webhooks")
@click.argument("delivery_ids", metavar="[ID]...", type=click.UUID, nargs=-1)
@click.option("--reason", help="Why, for the audit.")
def retry_webhooks(delivery_ids: tuple[UUID, ...], reason: str | None) -> None:
    """Schedule dead webhooks again: those named, or all.

    The IDs are those that `queue` shows and the receiver knows as webhook-id.
    """
    from rdchat.operations import administration

    async def work(settings: Settings, addresses: Addresses) -> list[str]:
        return await administration.retry_webhooks(settings, addresses, delivery_ids, reason=reason)

    _print_lines(work)


@cli.group()
def keys() -> None:
    """Look at the keys that encrypt what is stored, and change to another."""


@keys.command("status")
def show_keys() -> None:
    """List the keys, with the data keys that each wraps. Fails where one is missing or another."""
    from rdchat.operations import key_commands

    raise _print_and_judge(key_commands.show_keys)


@keys.command()
@click.option("--id", "kid", metavar="KID", help="How the key is called. [default: by the date]")
def rotate(kid: str | None) -> None:
    """Make a new key, and say how it comes into use without downtime."""
    from rdchat.operations import key_commands

    try:
        lines = key_commands.make_key(_settings(), kid)
    except LookupError as error:
        raise _complain(RuntimeError(error.args[0])) from None
    for line in lines:
        click.echo(line)


@keys.command("rewrap")
def rewrap() -> None:
    """Wrap all data keys with the first key of the settings, while the service runs.

    It can be interrupted at any time; called again, it goes on. What was written need not be touched.
    """
    from rdchat.operations import key_commands

    async def work(settings: Settings, addresses: Addresses) -> tuple[list[str], bool]:
        return await key_commands.rewrap_keys(settings, addresses, say=_whisper)

    raise _print_and_judge(work)


@cli.group()
def audit() -> None:
    """Look at what was done, seen and refused, and see that it is as it was written."""


@audit.command("list")
@click.option("--kind", type=click.Choice(AUDIT_KINDS), help="Only entries of this kind.")
@click.option("--person", type=click.UUID, help="Only what this person did, or what was done to them.")
@click.option("--session", type=click.UUID, help="Only what is about this session.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="The latest.")
def list_audit(kind: str | None, person: UUID | None, session: UUID | None, limit: int) -> None:
    """List the latest entries, a line each."""
    from rdchat.domain.audit import AuditFilter, AuditKind
    from rdchat.operations import audit_commands

    wanted = AuditFilter(
        kinds=(AuditKind(kind),) if kind is not None else None, person_id=person, session_id=session
    )

    async def work(settings: Settings, addresses: Addresses) -> list[str]:
        return await audit_commands.list_audit(settings, addresses, wanted=wanted, limit=limit)

    _print_lines(work)


@audit.command("verify")
@click.option(
    "--checkpoints",
    type=_FILE,
    help="Checkpoints that lay outside of the database. [default: RDCHAT_AUDIT_CHECKPOINTS]",
)
def verify_audit(checkpoints: Path | None) -> None:
    """Find any row that was altered, taken out, put in or exchanged. Fails where there is one."""
    from rdchat.operations import audit_commands

    async def work(settings: Settings, addresses: Addresses) -> tuple[list[str], bool]:
        return await audit_commands.verify_audit(settings, addresses, kept=checkpoints, say=_whisper)

    raise _print_and_judge(work)


@audit.command("key")
def show_public_key() -> None:
    """Print the public key (Ed25519) of checkpoints and receipts."""
    from rdchat.operations import audit_commands

    click.echo(_with_stores(audit_commands.get_public_key).hex())


@cli.group()
def privacy() -> None:
    """Export, erase and keep what is personal. docs/privacy.md says what becomes of what."""


@privacy.command("export")
@click.argument("person_id", type=click.UUID)
@click.option("--to", "folder", required=True, type=click.Path(path_type=Path), help="A new folder.")
@click.option("--reason", required=True, help="Why; it is written into the audit, encrypted.")
@click.option("--files", is_flag=True, help="Also the files that were sent.")
def export(person_id: UUID, folder: Path, reason: str, *, files: bool) -> None:
    """Write all that is kept of a person, and that they may see, into a folder.

    As export.json and, to read, export.txt. Both people of a session can see that it was exported.
    """
    from rdchat.runtime import privacy_commands

    async def work(settings: Settings, addresses: Addresses) -> list[str]:
        return await privacy_commands.export_person(
            settings, addresses, person_id, folder=folder, reason=reason, with_files=files, say=_whisper
        )

    try:
        lines = _with_stores(work)
    except OSError as error:
        raise _complain(error) from None
    for line in lines:
        click.echo(line)


@privacy.command("erase")
@click.argument("person_id", metavar="[PERSON_ID]", type=click.UUID, required=False)
@click.option("--reason", help="Why; it is kept encrypted.")
@click.option("--receipt", type=click.Path(dir_okay=False, path_type=Path), help="Write the receipt here.")
@click.option("--unfinished", is_flag=True, help="Instead of one person: finish what was interrupted.")
def erase(person_id: UUID | None, reason: str | None, receipt: Path | None, *, unfinished: bool) -> None:
    """Erase a person: their words for good, and who they are. It cannot be undone.

    What they have ahead is cancelled, and the other person told. While a chat of theirs is open, or a legal
    hold is on them, it is refused. Interrupted, it goes on where it was when it is called again.
    """
    from rdchat.runtime import privacy_commands

    if unfinished == (person_id is not None):
        raise click.UsageError("Give either a PERSON_ID or --unfinished.")
    if person_id is not None and not reason:
        raise click.UsageError("--reason is needed.")

    async def work(settings: Settings, addresses: Addresses) -> list[str]:
        if person_id is None or reason is None:
            return await privacy_commands.go_on(settings, addresses, say=_whisper)
        return await privacy_commands.erase_person(
            settings, addresses, person_id, reason=reason, receipt=receipt, say=_whisper
        )

    _print_lines(work)


@privacy.command("retain")
@click.option("--organization", type=click.UUID, help="Only what is of this organisation.")
@click.option("--all", "all_of_them", is_flag=True, help="Of all organisations.")
@click.option("--dry-run", is_flag=True, help="Only say what would be erased.")
def retain(organization: UUID | None, *, all_of_them: bool, dry_run: bool) -> None:
    """Erase what was said in sessions that are over for longer than it is kept.

    How long that is stands in the file of RDCHAT_ORGANIZATIONS, as retention_days. The service does this once
    a day. Interrupted, it goes on where it was when it is called again.
    """
    from rdchat.runtime import privacy_commands

    if all_of_them == (organization is not None):
        raise click.UsageError("Give either --organization or --all.")

    async def work(settings: Settings, addresses: Addresses) -> list[str]:
        return await privacy_commands.retain(
            settings, addresses, only=organization, dry_run=dry_run, say=_whisper
        )

    _print_lines(work)


@privacy.command("hold")
@click.option("--person", type=click.UUID, help="Keep all of this person.")
@click.option("--session", type=click.UUID, help="Keep this session.")
@click.option("--lift", is_flag=True, help="Let it go again.")
@click.option("--reason", help="Why; it is kept encrypted.")
def hold(person: UUID | None, session: UUID | None, reason: str | None, *, lift: bool) -> None:
    """Keep a person or a session from being erased, or let it go; without either, list what is held."""
    from rdchat.domain.erasure import HoldSubject
    from rdchat.runtime import privacy_commands

    if person is not None and session is not None:
        raise click.UsageError("Give either --person or --session.")
    subject_id = person or session
    if subject_id is not None and not reason:
        raise click.UsageError("--reason is needed.")

    async def work(settings: Settings, addresses: Addresses) -> list[str]:
        if subject_id is None or reason is None:
            return await privacy_commands.list_holds(settings, addresses)
        kind = HoldSubject.PERSON if person is not None else HoldSubject.SESSION
        return await privacy_commands.change_hold(
            settings, addresses, (kind, subject_id), reason=reason, lift=lift
        )

    _print_lines(work)


@privacy.command("repeat")
def repeat_erasures() -> None:
    """After a backup was restored: erase again all that is recorded as erased."""
    from rdchat.runtime import privacy_commands

    _print_lines(privacy_commands.repeat)


@privacy.command("verify-receipt")
@click.argument("file", type=_FILE)
def verify_receipt(file: Path) -> None:
    """Check the receipt of an erasure. Fails where it was changed, or is another service's."""
    from rdchat.runtime import privacy_commands

    content = file.read_bytes()

    async def work(settings: Settings, addresses: Addresses) -> tuple[list[str], bool]:
        return await privacy_commands.verify_receipt(settings, addresses, content)

    try:
        end = _print_and_judge(work)
    except ValueError as error:
        raise _complain(error) from None
    raise end


@privacy.command("status")
def show_erasures() -> None:
    """List what was erased, what was interrupted, and with which keys old backups of it still open."""
    from rdchat.runtime import privacy_commands

    _print_lines(privacy_commands.show_status)


if __name__ == "__main__":
    cli()
