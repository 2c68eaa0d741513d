"""The two roles of a service's database: the owner migrates it, the program connects as the running role.

``grants.sql``, beside the migrations of the chassis and of each service, lists table by table what the running role
may do. ``migrate`` applies both files each time; what they do not grant is revoked. So a stolen ``DATABASE_URL`` or an
injected statement can neither change immutable rows nor remove a trigger.
"""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import asyncpg

if TYPE_CHECKING:
    from chassis.database import Transaction

GRANTS = "grants.sql"
RUNNING_ROLE = ":running_role"
"""The placeholder of the running role in those files."""

_UNGRANTED = """
SELECT relname FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
AND NOT has_any_column_privilege($1, c.oid, 'SELECT, INSERT, UPDATE')
AND NOT has_table_privilege($1, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
AND obj_description(c.oid, 'pg_class') IS DISTINCT FROM 'owner only'
ORDER BY relname
"""

_EXCESS = """
SELECT 'is a superuser' AS excess FROM pg_roles WHERE rolname = $1 AND rolsuper
UNION ALL SELECT 'may ' || name FROM pg_roles, LATERAL (VALUES (rolcreaterole, 'create roles'),
    (rolcreatedb, 'create databases'), (rolreplication, 'replicate'), (rolbypassrls, 'bypass row security'))
    AS of_role (has, name) WHERE rolname = $1 AND has
UNION ALL SELECT DISTINCT format('may act as %s, the owner of its tables', relowner::regrole)
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND pg_has_role($1, relowner, 'MEMBER')
UNION ALL SELECT DISTINCT format('may act as %s, the owner of the database', datdba::regrole)
    FROM pg_database WHERE datname = current_database() AND pg_has_role($1, datdba, 'MEMBER')
UNION ALL SELECT 'may create objects in the schema public' WHERE has_schema_privilege($1, 'public', 'CREATE')
UNION ALL SELECT 'may create objects in the database' WHERE has_database_privilege($1, current_database(), 'CREATE')
UNION ALL SELECT format('may do more than read and write %s', relname) FROM pg_class c
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    AND has_table_privilege($1, c.oid, 'TRUNCATE, REFERENCES, TRIGGER')
"""


class RoleError(Exception):
    """Raised when the roles of a database are not as required; says what to do."""


def role_of(database_url: str) -> str:
    """The role in a database URL; ``RoleError`` if it has none."""
    role = urlsplit(database_url).username
    if not role:
        raise RoleError("DATABASE_URL names no role: postgresql://ROLE:PASSWORD@HOST/DATABASE")
    return unquote(role)


async def check_roles(owner: "asyncpg.Connection[asyncpg.Record]", running_role: str) -> None:
    """Raise ``RoleError`` unless the running role exists and is not the owner."""
    if running_role == await owner.fetchval("SELECT current_user"):
        raise RoleError(
            f"DATABASE_URL and MIGRATION_DATABASE_URL both name the role {running_role}: the program must connect as "
            "another role than the owner of its tables (docs/runbook.md, « The two roles of a database »)"
        )
    if not await owner.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", running_role):
        raise RoleError(f"the role {running_role} does not exist yet: create it, see docs/runbook.md")


async def apply_grants(owner: "asyncpg.Connection[asyncpg.Record]", running_role: str, *folders: Path) -> None:
    """Grant the running role what the folders' ``grants.sql`` list and nothing else, in one transaction.

    ``RoleError`` when a table or view is in none of them, or when the role has further rights.
    """
    role = '"{}"'.format(running_role.replace('"', '""'))
    database = await owner.fetchval("SELECT quote_ident(current_database())")
    async with owner.transaction():
        await owner.execute(
            f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}, PUBLIC;"
            f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {role}, PUBLIC;"
            f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM {role};"
            f"REVOKE ALL ON SCHEMA public FROM {role};"
            f"GRANT USAGE ON SCHEMA public TO {role};"
        )
        if await owner.fetchval(
            "SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()"
        ):
            await owner.execute(
                f"REVOKE CREATE ON SCHEMA public FROM PUBLIC;"
                f"REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC;"
                f"GRANT CONNECT ON DATABASE {database} TO {role};"
            )
        for folder in folders:
            text = (folder / GRANTS).read_text(encoding="utf-8")
            await owner.execute(text.replace(RUNNING_ROLE, role))
        if missing := [row["relname"] for row in await owner.fetch(_UNGRANTED, running_role)]:
            raise RoleError(f"{GRANTS} says nothing of {', '.join(missing)}: grant what the running role needs")
        if excess := await excess_rights(owner, running_role):
            raise RoleError(f"the running role {running_role} {'; '.join(excess)}")


async def excess_rights(connection: "Transaction", role: str | None = None) -> list[str]:
    """The rights of a role, by default that of the connection, beyond reading and writing rows; empty as required."""
    name = role or await connection.fetchval("SELECT current_user")
    return [row["excess"] for row in await connection.fetch(_EXCESS, name)]
