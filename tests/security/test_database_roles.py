"""What the service's role cannot do in the database, whoever gets to speak with its connection."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from rdchat.postgres.database_roles import too_much
from rdchat.postgres.grants import APPEND_ONLY, GRANTS
from tests.support.database_users import as_owner, planting
from tests.support.soon import in_days

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.attacks import Attacks
    from tests.support.service import Service

_SCHEMA = (
    "CREATE TABLE mine (n int)",
    "CREATE TABLE public.mine (n int)",
    "CREATE TEMPORARY TABLE mine (n int)",
    "SELECT * INTO mine FROM people",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE MATERIALIZED VIEW mine AS SELECT 1",
    "CREATE SEQUENCE mine",
    "CREATE TEMPORARY SEQUENCE mine",
    "CREATE TYPE mine AS (n int)",
    "CREATE DOMAIN mine AS int",
    "CREATE INDEX ON people (full_name)",
    "CREATE SCHEMA mine",
    "CREATE EXTENSION dblink",
    "CREATE EXTENSION file_fdw",
    "CREATE EXTENSION postgres_fdw",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION was_there(session uuid, person uuid) RETURNS bool RETURN true",
    "CREATE OR REPLACE FUNCTION count_revision() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER mine BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION count_revision()",
    "CREATE RULE mine AS ON INSERT TO messages DO INSTEAD NOTHING",
    "CREATE POLICY mine ON messages USING (true)",
    "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION count_revision()",
    "CREATE PUBLICATION mine FOR ALL TABLES",
    "CREATE SUBSCRIPTION mine CONNECTION 'host=elsewhere.example' PUBLICATION x WITH (connect = false)",
    "CREATE FOREIGN DATA WRAPPER mine",
    "CREATE LANGUAGE mine HANDLER plpgsql_call_handler",
    "CREATE CAST (text AS int) WITH INOUT AS IMPLICIT",
    "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)",
    "DROP FUNCTION was_there",
    "DROP TRIGGER counselings_revision ON counselings",
    "DROP SCHEMA public CASCADE",
    "DROP EXTENSION btree_gist CASCADE",
    "ALTER FUNCTION was_there SECURITY DEFINER",
    "COMMENT ON TABLE people IS 'mine'",
)
#: For every table, whatever the service may do with its rows.
_EVERY_TABLE = (
    "DROP TABLE {}",
    "TRUNCATE {} CASCADE",
    "ALTER TABLE {} ADD COLUMN mine int",
    "ALTER TABLE {} DISABLE TRIGGER ALL",
    "ALTER TABLE {} DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE {} OWNER TO CURRENT_USER",
    "ALTER TABLE {} RENAME TO mine",
    "ALTER TABLE {} SET UNLOGGED",
    "CREATE TRIGGER mine BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION count_revision()",
    "CREATE RULE mine AS ON INSERT TO {} DO INSTEAD NOTHING",
)
_APPENDED = (
    "DELETE FROM {}",
    "DELETE FROM ONLY {} WHERE false",
    "UPDATE {} SET {column} = {column}",
    "WITH gone AS (DELETE FROM {} RETURNING *) SELECT * FROM gone",
    "MERGE INTO {} USING (SELECT 1) AS x ON false WHEN MATCHED THEN DELETE",
    "INSERT INTO {} SELECT * FROM {} ON CONFLICT {target} DO UPDATE SET {column} = excluded.{column}",
    "SELECT * FROM {} FOR UPDATE",
    "SELECT * FROM {} FOR KEY SHARE",
    "LOCK TABLE {} IN SHARE MODE",
    "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
)
_SERVER = (
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY people (full_name) FROM PROGRAM 'echo mine'",
    "COPY (SELECT 1) TO '/tmp/mine'",
    "COPY people FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('PG_VERSION')",
    "SELECT pg_ls_dir('.')",
    "SELECT pg_stat_file('PG_VERSION')",
    "SELECT pg_ls_logdir()",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/mine')",
    "SELECT pg_reload_conf()",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_switch_wal()",
    "SELECT pg_promote()",
    "SELECT pg_create_physical_replication_slot('mine')",
    "SELECT pg_logical_emit_message(true, 'x', 'y'), pg_create_logical_replication_slot('mine', 'pgoutput')",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_shadow",
    "SELECT rolpassword FROM pg_catalog.pg_authid",
    "SELECT * FROM pg_hba_file_rules",
    "SELECT * FROM pg_file_settings",
    "UPDATE pg_proc SET prosrc = 'SELECT true' WHERE proname = 'was_there'",
    "DELETE FROM pg_class WHERE relname = 'timeline'",
    "INSERT INTO pg_auth_members SELECT * FROM pg_auth_members",
    "LOAD 'auto_explain'",
    "LOAD '/tmp/mine.so'",
    "CHECKPOINT",
    "ALTER SYSTEM SET log_statement = 'all'",
    "ALTER SYSTEM SET archive_command = 'true'",
    "SET session_replication_role = replica",
    "SET session_preload_libraries = 'auto_explain'",
    "SET log_statement = 'none'",
    "SET row_security = off; SET zero_damaged_pages = on",
    "SELECT set_config('session_replication_role', 'replica', false)",
    "SET SESSION AUTHORIZATION rdchat_owner",
    "SET ROLE rdchat_owner",
    "SET ROLE pg_read_all_data",
    "SET ROLE pg_execute_server_program",
    "SELECT set_config('role', 'rdchat_owner', false)",
    "CREATE ROLE mine SUPERUSER",
    "CREATE ROLE mine",
    "DROP ROLE rdchat_owner",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "ALTER ROLE CURRENT_USER CREATEROLE",
    "ALTER ROLE CURRENT_USER BYPASSRLS",
    "ALTER ROLE rdchat_owner PASSWORD 'mine'",
    "ALTER ROLE rdchat_owner SET search_path = mine",
    "ALTER ROLE ALL SET search_path = mine",
    "GRANT rdchat_owner TO CURRENT_USER",
    "GRANT pg_write_all_data TO CURRENT_USER",
    "GRANT pg_execute_server_program TO CURRENT_USER",
    "ALTER DEFAULT PRIVILEGES FOR ROLE rdchat_owner GRANT ALL ON TABLES TO PUBLIC",
    "REASSIGN OWNED BY rdchat_owner TO CURRENT_USER",
    "DROP OWNED BY rdchat_owner",
    "CREATE DATABASE mine",
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = x', current_database()); END $$",
    "DROP DATABASE template1",
    "DO $$ BEGIN EXECUTE 'DROP TABLE timeline'; END $$",
    "DO $$ BEGIN DELETE FROM timeline; END $$",
)
#: PostgreSQL warns of these instead of refusing them: what counts is what they did.
_GIVING = (
    *(f"GRANT ALL ON {table} TO PUBLIC" for table in GRANTS),
    "GRANT UPDATE, DELETE ON timeline TO CURRENT_USER WITH GRANT OPTION",
    "GRANT ALL ON ALL TABLES IN SCHEMA public TO CURRENT_USER",
    "GRANT CREATE ON SCHEMA public TO CURRENT_USER",
    "REVOKE ALL ON timeline FROM rdchat_owner",
    "DO $$ BEGIN EXECUTE format('GRANT ALL ON DATABASE %I TO CURRENT_USER', current_database()); END $$",
)
_RIGHTS = """
SELECT array_agg(a ORDER BY a) FROM (
    SELECT oid::regclass || ':' || relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT nspname || ':' || nspacl::text FROM pg_namespace
    UNION ALL SELECT datname || ':' || datacl::text FROM pg_database WHERE datname = current_database()
) rights (a)
"""


@pytest.fixture
async def lived(service: Service) -> Service:
    """A service in which things were said, done and written down."""
    sari = await service.psychologist()
    client = service.person()
    booked = await client.book(in_days(3), in_days(3) + timedelta(hours=1), psychologistId=str(sari.id))
    assert booked.status == 201, booked.json
    async with planting(service.runtime.pool) as owner:
        session = await owner.fetchval("SELECT id FROM chat_sessions")
        await owner.execute(
            "INSERT INTO messages (session_id, seq, id, sender_id, message_type, body, mac, created_at) "
            "VALUES ($1, 900, gen_random_uuid(), $2, 'text', 'x', 'x', now())",
            session,
            client.id,
        )
        await owner.execute("INSERT INTO reads VALUES ($1, $2, 1, now())", session, client.id)
    return service


@pytest.fixture
async def intruder(lived: Service, database_url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """The service's own connection, in other hands."""
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT current_user") == "rdchat_service"
    assert await lived.runtime.pool.fetchval("SELECT count(*) FROM messages") == 1
    yield connection
    await connection.close()


async def test_the_schema_is_not_the_services(intruder: Any, attacks: Attacks) -> None:
    attacks.count("service role: change the schema", **await _through(intruder, _SCHEMA))
    statements = [text.format(table) for table in GRANTS for text in _EVERY_TABLE]
    attacks.count("service role: change a table", **await _through(intruder, statements))


async def test_what_was_written_down_stays(intruder: Any, database_url: str, attacks: Attacks) -> None:
    owner = await asyncpg.connect(as_owner(database_url))
    before = {table: await owner.fetch(f"SELECT t::text FROM {table} t") for table in APPEND_ONLY}  # noqa: S608
    assert {"timeline", "operator_actions", "operator_outcomes"} < set(before)
    assert all(before.values()), "there is something to change in each of them"
    statements = []
    for table in APPEND_ONLY:
        [(column,), *_] = await owner.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum",
            table,
        )
        key = await owner.fetchval(
            "SELECT '(' || string_agg(a.attname, ', ') || ')' FROM pg_index i "
            "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
            "WHERE i.indrelid = $1::regclass AND i.indisprimary",
            table,
        )
        statements += [text.replace("{}", table).format(column=column, target=key) for text in _APPENDED]
    attacks.count("service role: change what was written down", **await _through(intruder, statements))
    after = {table: await owner.fetch(f"SELECT t::text FROM {table} t") for table in APPEND_ONLY}  # noqa: S608
    await owner.close()
    assert after == before


async def test_the_server_is_out_of_reach(intruder: Any, attacks: Attacks) -> None:
    attacks.count("service role: reach the server and other roles", **await _through(intruder, _SERVER))


async def test_it_gives_itself_and_others_nothing(intruder: Any, attacks: Attacks) -> None:
    before = await intruder.fetchval(_RIGHTS)
    assert any("timeline:" in right and "rdchat_service=ar/" in right for right in before)
    through = []
    for statement in _GIVING:
        transaction = intruder.transaction()
        await transaction.start()
        try:
            await intruder.execute(statement)
            if await intruder.fetchval(_RIGHTS) != before:
                through.append(statement)
        except asyncpg.InsufficientPrivilegeError:
            continue
        finally:
            await transaction.rollback()
    attacks.count("service role: give rights away", tried=len(_GIVING), through=through)


async def test_nothing_else_is_left_to_the_service_and_the_same_attacks_work_for_others(
    intruder: Any, database_url: str
) -> None:
    assert await too_much(intruder) == []
    owner = await asyncpg.connect(as_owner(database_url))
    assert "may change rows of timeline" in await too_much(owner)
    some = ("CREATE TABLE mine (n int)", "TRUNCATE timeline CASCADE", "DELETE FROM messages")
    assert (await _through(owner, some))["through"] == list(some)
    await owner.close()


async def _through(connection: Any, statements: Any) -> dict[str, Any]:
    """Try statements, each in a transaction that is taken back; return what PostgreSQL let pass."""
    through = []
    for statement in statements:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(statement)
            through.append(statement)
        except (
            asyncpg.InsufficientPrivilegeError,
            # Refused before it is asked who asks.
            asyncpg.ActiveSQLTransactionError,
        ) as error:
            if isinstance(error, asyncpg.ActiveSQLTransactionError):
                await transaction.rollback()
                transaction = None
                if await _passes(connection, statement):
                    through.append(statement)
        except asyncpg.PostgresError as error:
            # A mistake of this test's would look like a refusal.
            through.append(f"{statement}: {type(error).__name__}: {error}")
        finally:
            if transaction is not None:
                await transaction.rollback()
    return {"tried": len(statements), "through": through}


async def _passes(connection: Any, statement: str) -> bool:
    """Try one that no transaction can hold."""
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True
