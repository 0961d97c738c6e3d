"""What the service's role may do with each table: the one list, which `run.py migrate` puts into force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rdchat.postgres.pool import Connection

_READ: Final = "SELECT"
_APPEND: Final = "SELECT, INSERT"
_CHANGE: Final = "SELECT, INSERT, UPDATE"
_DELETE: Final = "SELECT, INSERT, UPDATE, DELETE"

#: By table, in the words of GRANT. A table that is missing here is given away to be read and added to, by
#: default privileges; a test wants every table here.
GRANTS: Final = {
    # What was said and done stays as it was written: the service cannot change or delete it.
    "audit": _APPEND,
    "audit_checkpoints": _APPEND,
    "encryption_keys": _APPEND,
    "messages": _APPEND,
    "operator_actions": _APPEND,
    "operator_outcomes": _APPEND,
    "reads": _APPEND,
    "timeline": _APPEND,
    # What has a state.
    "access_changes": _CHANGE,
    "access_rules": _CHANGE,
    "attendance": _CHANGE,
    "automations": _CHANGE,
    "chat_sessions": _CHANGE,
    "counselings": _CHANGE,
    "destroyed_keys": _CHANGE,
    "erasures": _CHANGE,
    "facts": _CHANGE,
    "legal_holds": _CHANGE,
    "notifications": _CHANGE,
    "people": _CHANGE,
    "psychologists": _CHANGE,
    "reminders": _CHANGE,
    # What goes when it is done with, or when its owner says so.
    "ably_token_requests": _DELETE,
    "attachments": _DELETE,
    "calendar_links": _DELETE,
    "client_notes": _DELETE,
    "data_keys": _DELETE,
    "idempotency": _DELETE,
    "late_revocations": _DELETE,
    "outbox": _DELETE,
    "quick_replies": _DELETE,
    "webhook_deliveries": _DELETE,
    # The trigger of `audit` writes these, with its owner's rights.
    "audit_chains": _READ,
    "audit_links": _READ,
    # `serve` looks whether it is up to date.
    "migrations": _READ,
}
APPEND_ONLY: Final = frozenset(table for table, rights in GRANTS.items() if rights == _APPEND)
#: What the service may do with tables of later migrations, until the list is put into force.
BY_DEFAULT: Final = _APPEND

#: The roles that were given this by default privileges of the one who asks: `run.py database roles` does so.
_SERVICE_ROLES = """
SELECT DISTINCT r.rolname
  FROM pg_default_acl d, LATERAL aclexplode(d.defaclacl) a JOIN pg_roles r ON r.oid = a.grantee
 WHERE d.defaclobjtype = 'r' AND a.privilege_type = 'INSERT' AND a.grantee <> d.defaclrole
   AND d.defaclnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
   AND d.defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
"""


def granting(role: str) -> str:
    """Return the statement that gives a role what is in the list, for tables that are there; no more.

    It is in force at once or, within a transaction, with that: no statement of the service fails between.
    """
    rows = ",\n        ".join(f"('{table}', '{rights}')" for table, rights in sorted(GRANTS.items()))
    return f"""DO $rdchat$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT * FROM (VALUES
        {rows}
    ) AS list (name, rights) WHERE to_regclass(name) IS NOT NULL LOOP
        EXECUTE format('REVOKE ALL ON TABLE %I FROM %I', one.name, '{role}');
        EXECUTE format('GRANT %s ON TABLE %I TO %I', one.rights, one.name, '{role}');
    END LOOP;
END $rdchat$"""  # noqa: S608 - our list, and a name that was checked


async def renew_grants(connection: Connection) -> None:
    """Give the service's roles what is in the list, as the owner of the tables."""
    for (role,) in await connection.fetch(_SERVICE_ROLES):
        await connection.execute(granting(role.replace("'", "''")))
