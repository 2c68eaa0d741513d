"""Accounts: who signs in, their secrets and addresses, one-time codes, links, and what happened to them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from auth.domain.sign_in import Link, SetUp
from chassis.database import Transaction
from contracts.events.auth import GuardianChanged
from contracts.identity import Identity, Role


@dataclass(frozen=True)
class Account:
    """Who signs in, with the hash of the secret; none before a first letter."""

    account_id: UUID
    identifier: str
    secret_hash: str | None
    set_up: SetUp
    state: int
    household_id: UUID | None
    first_name: str
    last_name: str
    email: str | None
    roles: frozenset[Role]
    totp_secret: bytes | None
    has_totp: bool
    totp_step: int

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def personal(self) -> tuple[str, ...]:
        """What a secret must not repeat."""
        return (self.identifier, self.first_name, self.last_name, self.name, self.email or "")

    def identity(self, session_id: UUID) -> Identity:
        """The account as the token's identity."""
        return Identity(
            subject_id=self.account_id,
            session_id=session_id,
            name=self.name,
            roles=self.roles,
            household_id=self.household_id,
            email=self.email,
        )


def account_of(row: Any) -> Account:
    """A row of ``account``."""
    return Account(
        row["account_id"],
        row["identifier"],
        row["secret_hash"],
        SetUp(row["set_up"]),
        row["state"],
        row["household_id"],
        row["first_name"],
        row["last_name"],
        row["email"],
        frozenset(Role(role) for role in row["roles"]),
        row["totp_secret"],
        row["totp_since"] is not None,
        row["totp_step"],
    )


def guardian_of(row: Any) -> GuardianChanged:
    """A row of ``account`` as what others are told."""
    return GuardianChanged(
        guardian_id=row["account_id"],
        household_id=row["household_id"],
        version=row["version"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        email=row["email"],
        active=row["active"],
        erased=row["erased"],
    )


def token_hash(token: str) -> bytes:
    """What is stored of a session, a link or a recovery code: they are random, so a plain digest keeps them."""
    return hashlib.sha256(token.encode()).digest()


async def account_by_identifier(tx: Transaction, identifier: str) -> Account | None:
    row = await tx.fetchrow("SELECT * FROM account WHERE identifier = lower($1) AND active", identifier)
    return account_of(row) if row else None


async def staff_and_demo_accounts(tx: Transaction) -> list[Account]:
    """The town hall's people, and who has an identifier of the demo town's families."""
    rows = await tx.fetch(
        "SELECT * FROM account WHERE active AND secret_hash IS NOT NULL "
        "AND (household_id IS NULL OR identifier ~ '^demo[0-9]{2}$') ORDER BY household_id IS NOT NULL, identifier"
    )
    return [account_of(row) for row in rows]


async def account_for_update(tx: Transaction, account_id: UUID) -> Account | None:
    row = await tx.fetchrow("SELECT * FROM account WHERE account_id = $1 AND active FOR UPDATE", account_id)
    return account_of(row) if row else None


async def accounts_by_email(tx: Transaction, email: str) -> list[Account]:
    """Who proved to have this address."""
    rows = await tx.fetch(
        "SELECT * FROM account WHERE lower(email) = lower($1) AND email_confirmed_at IS NOT NULL AND active "
        "ORDER BY identifier LIMIT 10",
        email,
    )
    return [account_of(row) for row in rows]


async def add_account(
    tx: Transaction,
    *,
    identifier: str,
    secret_hash: str,
    set_up: SetUp,
    household_id: UUID | None,
    first_name: str,
    last_name: str,
    email: str | None,
    roles: Sequence[Role],
    position: int = 0,
) -> UUID | None:
    """A new account; None when the identifier is taken. Whoever needs no letter has an address that was vouched for."""
    account_id: UUID | None = await tx.fetchval(
        "INSERT INTO account (identifier, secret_hash, set_up, household_id, first_name, last_name, email, "
        "email_confirmed_at, letter_at, roles, position) VALUES (lower($1), $2, $3, $4, $5, $6, $7, "
        "CASE WHEN $3 = 'done' AND $7::text IS NOT NULL THEN now() END, CASE WHEN $3 = 'letter' THEN now() END, "
        "$8, $9) "
        "ON CONFLICT (identifier) DO NOTHING RETURNING account_id",
        identifier,
        secret_hash,
        set_up.value,
        household_id,
        first_name,
        last_name,
        email,
        [role.value for role in roles],
        position,
    )
    return account_id


async def replace_staff(
    tx: Transaction, *, identifier: str, secret_hash: str, name: str, email: str | None, roles: Sequence[Role]
) -> UUID | None:
    """Give an account of the town hall a new secret and roles; None when there is none of that identifier."""
    account_id: UUID | None = await tx.fetchval(
        "UPDATE account SET secret_hash = $2, first_name = $3, last_name = '', email = $4, roles = $5, "
        "email_confirmed_at = CASE WHEN $4::text IS NOT NULL THEN now() END, state = state + 1, "
        "version = version + 1, totp_secret = NULL, totp_since = NULL, active = true "
        "WHERE identifier = lower($1) AND household_id IS NULL RETURNING account_id",
        identifier,
        secret_hash,
        name,
        email,
        [role.value for role in roles],
    )
    return account_id


async def rehash(tx: Transaction, account: Account, secret_hash: str) -> None:
    """The same secret under newer parameters, unless it was changed meanwhile."""
    await tx.execute(
        "UPDATE account SET secret_hash = $3 WHERE account_id = $1 AND secret_hash = $2",
        account.account_id,
        account.secret_hash,
        secret_hash,
    )


async def save_secret(tx: Transaction, account_id: UUID, secret_hash: str, set_up: SetUp) -> None:
    """A new secret: every link made before is worth nothing now."""
    await tx.execute(
        "UPDATE account SET secret_hash = $2, set_up = $3, state = state + 1 WHERE account_id = $1",
        account_id,
        secret_hash,
        set_up.value,
    )


async def confirm_email(tx: Transaction, account_id: UUID, email: str, at: datetime) -> GuardianChanged | None:
    """The address is the account's from now on; the guardian as others are told, None for the town hall's people."""
    row = await tx.fetchrow(
        "UPDATE account SET email = $2, email_confirmed_at = $3, state = state + 1, version = version + 1, "
        "set_up = CASE WHEN set_up = 'email' THEN 'done' ELSE set_up END WHERE account_id = $1 RETURNING *",
        account_id,
        email,
        at,
    )
    return guardian_of(row) if row and row["household_id"] else None


async def save_totp(tx: Transaction, account_id: UUID, secret: bytes | None, since: datetime | None) -> None:
    await tx.execute(
        "UPDATE account SET totp_secret = $2, totp_since = $3, totp_step = 0 WHERE account_id = $1",
        account_id,
        secret,
        since,
    )


async def start_totp(tx: Transaction, account_id: UUID, since: datetime) -> None:
    """Put the kept key in use."""
    await tx.execute("UPDATE account SET totp_since = $2 WHERE account_id = $1", account_id, since)


async def use_totp_step(tx: Transaction, account_id: UUID, step: int) -> bool:
    """Take a code's half minute; False when it, or a later one, was taken before."""
    taken = await tx.fetchval(
        "UPDATE account SET totp_step = $2 WHERE account_id = $1 AND totp_step < $2 RETURNING true", account_id, step
    )
    return bool(taken)


async def replace_recovery_codes(tx: Transaction, account_id: UUID, hashes: Sequence[bytes]) -> None:
    await tx.execute("DELETE FROM recovery_code WHERE account_id = $1", account_id)
    await tx.executemany(
        "INSERT INTO recovery_code (account_id, code_hash, is_keyed) VALUES ($1, $2, true)",
        [(account_id, each) for each in hashes],
    )


async def use_recovery_code(tx: Transaction, account_id: UUID, keyed: bytes, plain: bytes, at: datetime) -> bool:
    """Take a code by its hash; ``plain`` is how the version before kept it."""
    used = await tx.fetchval(
        "UPDATE recovery_code SET used_at = $4 WHERE account_id = $1 AND used_at IS NULL "
        "AND code_hash = CASE WHEN is_keyed THEN $2::bytea ELSE $3 END RETURNING true",
        account_id,
        keyed,
        plain,
        at,
    )
    return bool(used)


async def plain_recovery_codes(tx: Transaction, limit: int) -> list[tuple[UUID, bytes]]:
    """Codes that are kept as the version before kept them: whose, and the plain digest."""
    rows = await tx.fetch(
        "SELECT account_id, code_hash FROM recovery_code WHERE NOT is_keyed LIMIT $1 FOR UPDATE SKIP LOCKED", limit
    )
    return [(row["account_id"], row["code_hash"]) for row in rows]


async def key_recovery_code(tx: Transaction, account_id: UUID, plain: bytes, keyed: bytes) -> None:
    await tx.execute(
        "UPDATE recovery_code SET code_hash = $3, is_keyed = true WHERE account_id = $1 AND code_hash = $2",
        account_id,
        plain,
        keyed,
    )


async def recovery_codes_left(tx: Transaction, account_id: UUID) -> int:
    left: int = await tx.fetchval(
        "SELECT count(*) FROM recovery_code WHERE account_id = $1 AND used_at IS NULL", account_id
    )
    return left


async def add_link(
    tx: Transaction, purpose: str, account: Account, email: str, token: str, at: datetime, expires_at: datetime
) -> None:
    await tx.execute(
        "INSERT INTO link (token_hash, purpose, account_id, state, email, made_at, expires_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        token_hash(token),
        purpose,
        account.account_id,
        account.state,
        email,
        at,
        expires_at,
    )


async def links_since(tx: Transaction, account_id: UUID, since: datetime) -> int:
    count: int = await tx.fetchval(
        "SELECT count(*) FROM link WHERE account_id = $1 AND made_at > $2", account_id, since
    )
    return count


async def pending_email(tx: Transaction, account: Account, at: datetime) -> str | None:
    """The address that waits for its confirmation, if one does."""
    email: str | None = await tx.fetchval(
        "SELECT email FROM link WHERE account_id = $1 AND purpose = 'email' AND used_at IS NULL AND expires_at > $2 "
        "AND state = $3 ORDER BY made_at DESC LIMIT 1",
        account.account_id,
        at,
        account.state,
    )
    return email


async def link_for_update(tx: Transaction, purpose: str, token: str) -> tuple[Link, UUID, str] | None:
    """The link, whose it is, and the address it was sent to."""
    row = await tx.fetchrow(
        "SELECT * FROM link WHERE token_hash = $1 AND purpose = $2 FOR UPDATE", token_hash(token), purpose
    )
    return (Link(row["state"], row["expires_at"], row["used_at"]), row["account_id"], row["email"]) if row else None


async def use_link(tx: Transaction, token: str, at: datetime) -> None:
    await tx.execute("UPDATE link SET used_at = $2 WHERE token_hash = $1", token_hash(token), at)


async def add_reset_wish(tx: Transaction, email: str, address: str, at: datetime) -> None:
    """Note that somebody asked, and wake who answers at commit."""
    await tx.execute("INSERT INTO reset_wish (email, address, asked_at) VALUES ($1, $2, $3)", email, address, at)
    await tx.execute("SELECT pg_notify('reset_wished', '')")


async def take_reset_wish(tx: Transaction) -> tuple[str, str] | None:
    """The oldest wish, taken away with this transaction: the address typed and where from."""
    row = await tx.fetchrow(
        "DELETE FROM reset_wish WHERE position = (SELECT position FROM reset_wish ORDER BY position "
        "FOR UPDATE SKIP LOCKED LIMIT 1) RETURNING email, address"
    )
    return (row["email"], row["address"]) if row else None


async def add_fact(tx: Transaction, fact: str, account_id: UUID | None, address: str, by: UUID | None = None) -> None:
    """Write a security fact down; ``by`` is who did it to another's account."""
    await tx.execute(
        "INSERT INTO security_fact (fact, account_id, address, by_id) VALUES ($1, $2, $3, $4)",
        fact,
        account_id,
        address,
        by,
    )
