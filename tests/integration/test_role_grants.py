"""The owner's and the service's role: how they are made, what each is given, and what a service needs."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from rdchat.common.errors import RdchatError
from rdchat.postgres import pool
from rdchat.postgres.database_roles import (
    DatabaseRole,
    password_verifier,
    roles_script,
    run_script,
    too_much,
)
from rdchat.postgres.grants import GRANTS
from rdchat.postgres.migrate import SchemaBehindError, bring_up_to_date, migrate
from tests.conftest import at_database
from tests.support.database_users import OWNER, SERVICE, as_owner
from tests.support.service import Service, service_settings
from tests.support.soon import in_days

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
_numbers = itertools.count(1)


@asynccontextmanager
async def a_role(admin_url: str, options: str = "") -> AsyncIterator[str]:
    """A role of the test's own, by name."""
    name = f"role_{os.getpid()}_{next(_numbers)}"
    await run_script(admin_url, f"CREATE ROLE {name} LOGIN PASSWORD 'only for tests' {options}")
    try:
        yield name
    finally:
        await run_script(admin_url, f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def as_role(url: str, name: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{name}:only%20for%20tests@{rest.partition('@')[2]}"


async def fetch(url: str, sql: str, *arguments: Any) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(sql, *arguments)]
    finally:
        await connection.close()


async def migrated(url: str) -> list[str]:
    database = await pool.connect(url)
    try:
        return await migrate(database)
    finally:
        await pool.close(database)


async def test_every_table_has_been_thought_of(database_url: str) -> None:
    there = set(await fetch(as_owner(database_url), _TABLES))
    where = "rdchat/postgres/grants.py: say what the service may do with"
    assert there - set(GRANTS) == set(), where
    assert set(GRANTS) - there == set(), "rdchat/postgres/grants.py: there is no such table any more"


async def test_each_table_is_given_as_the_list_says(database_url: str) -> None:
    rights = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
    for table, wanted in GRANTS.items():
        given = await fetch(
            database_url,
            "SELECT r FROM unnest($2::text[]) r WHERE has_table_privilege($1, r)",
            table,
            list(rights),
        )
        assert ", ".join(given) == wanted, table


async def test_a_later_table_can_be_added_to_until_the_list_says_otherwise(database_url: str) -> None:
    owner = as_owner(database_url)
    await run_script(owner, "CREATE TABLE later (n int)")
    await run_script(database_url, "INSERT INTO later VALUES (1)")
    with pytest.raises(RdchatError, match="permission denied"):
        await run_script(database_url, "UPDATE later SET n = 2")
    # One who took more for the service than it needs loses it with the next migration.
    await run_script(owner, f"GRANT ALL ON timeline TO {SERVICE.name}")
    assert await migrated(owner) == []
    with pytest.raises(RdchatError, match="permission denied"):
        await run_script(database_url, "DELETE FROM timeline")


async def test_making_them_again_changes_nothing_and_takes_tables_over(empty_url: str) -> None:
    # As in a database where one role did everything so far.
    async with a_role(empty_url) as before:
        await run_script(empty_url, f"GRANT ALL ON SCHEMA public TO {before}")
        await run_script(empty_url, f"GRANT CREATE ON DATABASE {await _name(empty_url)} TO {before}")
        assert await migrated(as_role(empty_url, before))
        script = roles_script(OWNER, SERVICE)
        for _ in range(2):
            await run_script(empty_url, script)
            owners = "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'public'"
            assert await fetch(empty_url, owners) == [OWNER.name]
            functions = (
                "SELECT DISTINCT pg_get_userbyid(proowner)::text FROM pg_proc WHERE proname IN "
                "('was_there', 'count_revision')"
            )
            assert await fetch(empty_url, functions) == [OWNER.name]
        assert await migrated(as_owner(empty_url)) == []
        await _serves(as_role_of(SERVICE, empty_url))


def as_role_of(role: DatabaseRole, url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{role.name}:{(role.password or '').replace(' ', '%20')}@{rest.partition('@')[2]}"


async def _name(url: str) -> str:
    [name] = await fetch(url, "SELECT current_database()::text")
    return str(name)


async def _serves(url: str) -> None:
    database = await pool.connect(url)
    try:
        assert await bring_up_to_date(database) == []
    finally:
        await pool.close(database)


async def test_an_administrator_without_superuser_can_make_them(empty_url: str) -> None:
    async with (
        a_role(empty_url, "CREATEROLE") as admin,
        a_role(empty_url, "CREATEROLE") as stranger,
    ):
        script = roles_script(DatabaseRole(f"{admin}_owner"), DatabaseRole(f"{admin}_service"))
        # PostgreSQL only warns of what another's database does not let them give: here, it fails as a whole.
        with pytest.raises(RdchatError, match=r"(may create|permission denied)"):
            await run_script(as_role(empty_url, stranger), script)
        assert await fetch(
            empty_url, "SELECT count(*) FROM pg_roles WHERE rolname LIKE $1", f"{admin}_%"
        ) == [0]
        await run_script(empty_url, f"ALTER DATABASE {await _name(empty_url)} OWNER TO {admin}")
        await run_script(as_role(empty_url, admin), script)
        await run_script(as_role(empty_url, admin), script)
        # They have no password; the server that tests start asks for none.
        if not os.environ.get("TEST_POSTGRES_URL"):
            assert await migrated(as_role(empty_url, f"{admin}_owner"))
            await _serves(as_role(empty_url, f"{admin}_service"))
        await run_script(empty_url, f"ALTER DATABASE {await _name(empty_url)} OWNER TO CURRENT_USER")
        for role in (f"{admin}_service", f"{admin}_owner"):
            await run_script(empty_url, f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


async def test_a_service_that_could_do_more_is_refused(empty_url: str) -> None:
    async with a_role(empty_url, "CREATEDB") as greedy:
        with pytest.raises(RdchatError, match="may make roles, databases"):
            await run_script(empty_url, roles_script(OWNER, DatabaseRole(greedy)))
    async with a_role(empty_url) as member:
        await run_script(empty_url, f"GRANT pg_write_all_data TO {member}")
        with pytest.raises(RdchatError, match="is a member of pg_write_all_data"):
            await run_script(empty_url, roles_script(OWNER, DatabaseRole(member)))
    async with a_role(empty_url) as fine:
        await run_script(empty_url, roles_script(OWNER, DatabaseRole(fine), schema="rdchat"))
        connection = await asyncpg.connect(as_role(empty_url, fine))
        assert await connection.fetchval("SELECT current_schema()") == "rdchat"
        assert await too_much(connection) == []
        await connection.close()
        await run_script(empty_url, "DROP SCHEMA rdchat CASCADE")


async def test_a_schema_of_ones_own_is_migrated_and_served(
    empty_url: str, redis_url: str, tmp_path: Path
) -> None:
    await run_script(empty_url, roles_script(OWNER, SERVICE, schema="rdchat"))
    assert await migrated(as_owner(empty_url))
    assert await fetch(empty_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'rdchat'") == [
        len(GRANTS)
    ]
    url = as_role_of(SERVICE, empty_url)
    async with Service.running(service_settings(tmp_path), database_url=url, redis_url=redis_url) as service:
        await service.psychologist()
        assert (await service.person().book(in_days(3), in_days(3).replace(hour=13))).status == 201


@pytest.mark.parametrize("may_have_the_extension", [True, False])
async def test_a_plain_owner_migrates_and_no_client_is_at_two_places_at_once(
    empty_url: str, *, may_have_the_extension: bool
) -> None:
    async with a_role(empty_url) as plain:
        await run_script(empty_url, f"GRANT CREATE ON SCHEMA public TO {plain}")
        if may_have_the_extension:
            await run_script(empty_url, f"GRANT CREATE ON DATABASE {await _name(empty_url)} TO {plain}")
        url = as_role(empty_url, plain)
        assert await migrated(url)
        extensions = await fetch(empty_url, "SELECT extname::text FROM pg_extension")
        assert ("btree_gist" in extensions) is may_have_the_extension
        booked = await _book_at_once(url, 20)
        assert booked.count("INSERT 0 1") == 1
        assert booked.count("counselings_client_overlap") == 19
        # Neither others nor other times are in the way, nor what was cancelled.
        await run_script(url, "UPDATE counselings SET status = 'cancelled'")
        assert await _book_at_once(url, 1) == ["INSERT 0 1"]
        assert await _book_at_once(url, 1, hours=1) == ["INSERT 0 1"]
        assert await _book_at_once(url, 1, client=uuid4()) == ["INSERT 0 1"]


_CLIENT = uuid4()
_PEOPLE = """
INSERT INTO people (id, role, seen_at) VALUES ($1, 'client', now()), ($2, 'client', now())
ON CONFLICT DO NOTHING
"""
_PSYCHOLOGIST = """
INSERT INTO psychologists (id, timezone, is_active, created_at, updated_at)
VALUES ($1, 'UTC', true, now(), now())
ON CONFLICT DO NOTHING
"""
_BOOK = """
INSERT INTO counselings (id, client_id, psychologist_id, method, status, starts_at, ends_at, timezone,
                         local_date, local_start, local_end, local_end_date, client_timezone,
                         psychologist_timezone, client_exclusive, created_at, updated_at)
VALUES (gen_random_uuid(), $1, $2, 'chat', 'pending',
        timestamptz '2030-01-01 12:00Z' + $3 * interval '1 hour',
        timestamptz '2030-01-01 13:00Z' + $3 * interval '1 hour',
        'UTC', '2030-01-01', '12:00', '13:00', '2030-01-01', 'UTC', 'UTC', true, now(), now())
"""


async def _book_at_once(url: str, count: int, *, hours: int = 0, client: Any = _CLIENT) -> list[str]:
    """Book the same time for one client over as many connections; return what became of each."""
    psychologist = _CLIENT
    async with asyncpg.create_pool(url, min_size=count, max_size=count) as connections:
        await connections.execute(_PEOPLE, _CLIENT, client if client != _CLIENT else uuid4())
        await connections.execute(_PSYCHOLOGIST, psychologist)

        async def book() -> str:
            try:
                return str(await connections.execute(_BOOK, client, psychologist, hours))
            except asyncpg.ExclusionViolationError as error:
                return str(error.constraint_name)
            except asyncpg.DeadlockDetectedError:
                # Two that wait to see whether the other stays. The service locks the client before.
                return "counselings_client_overlap"

        return list(await asyncio.gather(*(book() for _ in range(count))))


async def test_a_service_that_may_not_migrate_says_what_to_do(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    owner = as_owner(database_url)
    await run_script(owner, "DELETE FROM migrations WHERE name = '0074_operator_outcomes'")
    with pytest.raises(SchemaBehindError, match=r"0074_operator_outcomes.*Run `run.py migrate`"):
        async with Service.running(
            service_settings(tmp_path), database_url=database_url, redis_url=redis_url
        ):
            pass
    await run_script(owner, f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {SERVICE.name}")
    with pytest.raises(SchemaBehindError, match=r"was not given the tables.*run.py database roles"):
        await _serves(database_url)


async def test_before_the_first_migration_it_is_said_in_short(empty_url: str) -> None:
    await run_script(empty_url, roles_script(OWNER, SERVICE))
    with pytest.raises(SchemaBehindError, match=r"lacks 0001_sessions and \d+ others"):
        await _serves(as_role_of(SERVICE, empty_url))


async def test_what_a_superuser_migrates_becomes_the_owners(database_url: str, postgres_server: str) -> None:
    admin = at_database(postgres_server, await _name(database_url))
    await run_script(
        admin,
        "DROP TABLE operator_outcomes; DELETE FROM migrations WHERE name = '0074_operator_outcomes'",
    )
    assert await migrated(admin) == ["0074_operator_outcomes"]
    assert await fetch(
        admin, "SELECT tableowner::text FROM pg_tables WHERE tablename = 'operator_outcomes'"
    ) == [OWNER.name]
    await _serves(database_url)


async def test_a_verifier_is_what_postgresql_makes_of_a_password(empty_url: str) -> None:
    password = "p'a\"ss w\\ord $rdchat$ %I"  # noqa: S105 - it guards nothing
    async with a_role(empty_url) as role:
        connection = await asyncpg.connect(empty_url)
        quoted = await connection.fetchval("SELECT quote_literal($1::text)", password)
        await connection.execute(
            f"SET password_encryption = 'scram-sha-256'; ALTER ROLE {role} PASSWORD {quoted}"
        )
        made = await connection.fetchval("SELECT rolpassword FROM pg_authid WHERE rolname = $1", role)
        salt = base64.b64decode(made.split("$")[1].partition(":")[2])
        assert password_verifier(password, salt=salt) == made
        await run_script(empty_url, roles_script(OWNER, DatabaseRole(role, password)))
        kept = await connection.fetchval("SELECT rolpassword FROM pg_authid WHERE rolname = $1", role)
        assert kept.startswith("SCRAM-SHA-256$4096:")
        assert kept != made, "the salt is another"
        await connection.close()
