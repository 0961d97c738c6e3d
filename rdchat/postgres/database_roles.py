"""The two roles of the database: one owns the schema and migrates, the other serves and changes no schema."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import asyncpg

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.postgres.grants import APPEND_ONLY, BY_DEFAULT, granting
from rdchat.postgres.pool import available

if TYPE_CHECKING:
    from rdchat.postgres.pool import Connection

_NAME: Final = re.compile(r"[A-Za-z0-9_.@-]{1,63}")
#: As PostgreSQL counts by default.
_ITERATIONS: Final = 4096
_CONNECT_SECONDS: Final = 5.0

#: What a role may do that the service's must not, a line each. `{role}` and `{tables}` are literals.
_TOO_MUCH: Final = """
SELECT 'is a superuser' FROM pg_roles WHERE rolname = {role} AND rolsuper
UNION ALL SELECT 'may make roles, databases or copies, or passes row security' FROM pg_roles
 WHERE rolname = {role} AND (rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
UNION ALL SELECT 'is a member of ' || g.rolname
  FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member
 WHERE r.rolname = {role}
UNION ALL SELECT 'may create things in schema ' || current_schema()
 WHERE has_schema_privilege({role}, current_schema(), 'CREATE')
UNION ALL SELECT 'may create schemas and extensions'
 WHERE has_database_privilege({role}, current_database(), 'CREATE')
UNION ALL SELECT 'may create temporary tables'
 WHERE has_database_privilege({role}, current_database(), 'TEMPORARY')
UNION ALL SELECT 'may change rows of ' || name FROM unnest({tables}) AS name
 WHERE to_regclass(name) IS NOT NULL
   AND (has_any_column_privilege({role}, to_regclass(name), 'UPDATE')
        OR has_table_privilege({role}, to_regclass(name), 'DELETE, TRUNCATE'))
"""


@dataclass(frozen=True, slots=True)
class DatabaseRole:
    """A role that can log in; without a password, it gets none. Raise ValueError for an unusual name."""

    name: str
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"A role's name must have letters, digits and _.@- only, not {self.name!r}.")

    @property
    def quoted(self) -> str:
        """The name as an identifier."""
        return f'"{self.name}"'


def roles_script(owner: DatabaseRole, service: DatabaseRole, *, schema: str = "public") -> str:
    """Return the SQL that makes both roles, in the database where it runs; it can run again.

    Passwords stand in it as SCRAM verifiers. It is one transaction, and fails as a whole where the service
    could do more than it should afterwards. Statements end with a semicolon and an empty line.

    Raise ValueError when the two are one, for an unusual schema, or a password that is not ASCII.
    """
    if owner.name == service.name:
        raise ValueError("The owner and the service must be two roles.")
    if not re.fullmatch(r"\w{1,63}", schema, re.ASCII):
        raise ValueError(f"A schema's name must have letters, digits and _ only, not {schema!r}.")
    defaults = (
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner.quoted} IN SCHEMA {schema}\n"
        f"    GRANT {BY_DEFAULT} ON TABLES TO {service.quoted}"
    )
    statements = [
        "BEGIN",
        *_making(owner),
        *_making(service),
        _joining(owner),
        *_schema(owner, service, schema),
        _EXTENSION,
        _taking_over(owner),
        defaults,
        granting(service.name),
        _looking_again(service),
        "COMMIT",
    ]
    return "".join(f"{statement};\n\n" for statement in statements)


def password_verifier(password: str, *, salt: bytes | None = None) -> str:
    """Return what PostgreSQL keeps of a password (SCRAM-SHA-256). Raise ValueError unless it is ASCII."""
    if not password.isascii() or not password.isprintable():
        raise ValueError("A password of a role must have printable ASCII characters only.")
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    parts = (salt, hashlib.sha256(client_key).digest(), server_key)
    encoded = [base64.b64encode(part).decode() for part in parts]
    return f"SCRAM-SHA-256${_ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


async def run_script(url: str, script: str) -> None:
    """Run it there. Raise RdchatError with PostgreSQL's reason, UnavailableError when it does not answer."""
    try:
        async with available():
            connection = await asyncpg.connect(url, timeout=_CONNECT_SECONDS)
            try:
                await connection.execute(script)
            finally:
                await connection.close()
    except asyncpg.PostgresError as error:
        hint = f" {error.hint}" if getattr(error, "hint", None) else ""
        raise RdchatError(ErrorCode.FORBIDDEN, f"PostgreSQL refuses: {error}.{hint}") from error


async def too_much(connection: Connection | asyncpg.Connection[asyncpg.Record]) -> list[str]:
    """List what the role of a connection may do that the service need not do: nothing, if all is well."""
    role = await connection.fetchval("SELECT quote_literal(current_user)")
    return [text for (text,) in await connection.fetch(_too_much(role))]


def _too_much(role: str) -> str:
    tables = ", ".join(f"'{table}'" for table in sorted(APPEND_ONLY))
    return _TOO_MUCH.format(role=role, tables=f"ARRAY[{tables}]")


def _making(role: DatabaseRole) -> list[str]:
    making = [
        f"""DO $rdchat$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role.name}') THEN
        CREATE ROLE {role.quoted} LOGIN;
    END IF;
END $rdchat$"""
    ]
    if role.password is not None:
        making.append(f"ALTER ROLE {role.quoted} PASSWORD '{password_verifier(role.password)}'")
    return making


def _joining(owner: DatabaseRole) -> str:
    """Let an administrator who is no superuser give things to the owner."""
    return f"""DO $rdchat$
BEGIN
    IF current_user <> '{owner.name}'
       AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT {owner.quoted} TO %I', current_user);
    END IF;
END $rdchat$"""  # noqa: S608 - names that were checked


def _schema(owner: DatabaseRole, service: DatabaseRole, schema: str) -> list[str]:
    statements = [
        f"SET LOCAL search_path = {schema}",
        f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {owner.quoted}",
        f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC, {service.quoted}",
        f"GRANT USAGE ON SCHEMA {schema} TO {service.quoted}",
        _on_database(f"GRANT CONNECT ON DATABASE %I TO {owner.quoted}, {service.quoted}"),
        _on_database("REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC"),
    ]
    if schema == "public":
        return statements
    paths = [
        _on_database(f"ALTER ROLE {role.quoted} IN DATABASE %I SET search_path = {schema}")
        for role in (owner, service)
    ]
    return [f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner.quoted}", *statements, *paths]


def _on_database(statement: str) -> str:
    """Run a statement with the name of the present database in the place of %I."""
    return f"""DO $rdchat$
BEGIN
    EXECUTE format('{statement}', current_database());
END $rdchat$"""


#: The owner may then do without CREATE on the database; where it is refused, migrations do without it.
_EXTENSION: Final = """DO $rdchat$
BEGIN
    CREATE EXTENSION IF NOT EXISTS btree_gist;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'without btree_gist: %', SQLERRM;
END $rdchat$"""


def _taking_over(owner: DatabaseRole) -> str:
    """Make what one role has owned so far, tables above all, the property of the owner."""
    return f"""DO $rdchat$
DECLARE
    here oid := (SELECT oid FROM pg_namespace WHERE nspname = current_schema());
    before oid := (SELECT relowner FROM pg_class WHERE oid = to_regclass('migrations'));
    one text;
BEGIN
    IF before = (SELECT oid FROM pg_roles WHERE rolname = '{owner.name}') THEN
        RETURN;
    END IF;
    FOR one IN
        SELECT 'TABLE ' || c.oid::regclass FROM pg_class c
         WHERE c.relnamespace = here AND c.relowner = before AND c.relkind IN ('r', 'p')
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('e', 'i'))
        UNION ALL SELECT 'FUNCTION ' || p.oid::regprocedure FROM pg_proc p
         WHERE p.pronamespace = here AND p.proowner = before AND p.prokind = 'f'
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype IN ('e', 'i'))
        UNION ALL SELECT 'TYPE ' || t.oid::regtype FROM pg_type t
         WHERE t.typnamespace = here AND t.typowner = before AND t.typtype = 'r'
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('ALTER %s OWNER TO {owner.quoted}', one);
    END LOOP;
END $rdchat$"""  # noqa: S608 - names that were checked


def _looking_again(service: DatabaseRole) -> str:
    """Fail where something was not allowed: PostgreSQL only warns of what could not be granted or taken."""
    return f"""DO $rdchat$
DECLARE
    found text;
BEGIN
    SELECT string_agg(what, ', ') INTO found FROM ({_too_much(f"'{service.name}'")}) AS list (what);
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'the role {service.name} %', found
            USING HINT = 'Run this as the owner of the database, or as a superuser.';
    END IF;
END $rdchat$"""  # noqa: S608 - names that were checked
