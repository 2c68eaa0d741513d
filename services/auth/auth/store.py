"""auth's SQL."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from auth.domain.sign_in import Guard, SessionTimes
from chassis.database import Transaction
from contracts.api.auth import ChildWish, GuardianView, HouseholdView, HouseholdWish
from contracts.events.auth import GuardianChanged, HouseholdChild
from contracts.identity import Identity, Role


@dataclass(frozen=True)
class Account:
    """Who signs in, with the hash of the secret."""

    account_id: UUID
    secret_hash: str
    household_id: UUID | None
    name: str
    email: str | None
    roles: frozenset[Role]

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


@dataclass(frozen=True)
class Session:
    """A session and whose it is."""

    session_id: UUID
    times: SessionTimes
    account: Account


def token_hash(token: str) -> bytes:
    """What is stored of a session's token."""
    return hashlib.sha256(token.encode()).digest()


def _account(row: Any) -> Account:
    return Account(
        row["account_id"],
        row["secret_hash"],
        row["household_id"],
        f"{row['first_name']} {row['last_name']}".strip(),
        row["email"],
        frozenset(Role(role) for role in row["roles"]),
    )


async def guards_for_update(tx: Transaction, keys: Sequence[bytes]) -> dict[bytes, Guard]:
    """The guards of an attempt, locked in a fixed order; a missing one has no failures."""
    for key in sorted(keys):
        await tx.execute(
            "INSERT INTO sign_in_guard (guard, failures, last_at) VALUES ($1, 0, 'epoch') ON CONFLICT DO NOTHING", key
        )
    rows = await tx.fetch(
        "SELECT * FROM sign_in_guard WHERE guard = ANY($1::bytea[]) ORDER BY guard FOR UPDATE", list(keys)
    )
    return {row["guard"]: Guard(row["failures"], row["last_at"], row["locked_until"]) for row in rows}


async def save_guard(tx: Transaction, key: bytes, guard: Guard) -> None:
    await tx.execute(
        "UPDATE sign_in_guard SET failures = $2, last_at = $3, locked_until = $4 WHERE guard = $1",
        key,
        guard.failures,
        guard.last_at,
        guard.locked_until,
    )


async def clear_guard(tx: Transaction, key: bytes) -> None:
    await tx.execute("DELETE FROM sign_in_guard WHERE guard = $1", key)


async def account_by_identifier(tx: Transaction, identifier: str) -> Account | None:
    row = await tx.fetchrow("SELECT * FROM account WHERE identifier = lower($1) AND active", identifier)
    return _account(row) if row else None


async def save_secret(tx: Transaction, account_id: UUID, secret_hash: str) -> None:
    await tx.execute("UPDATE account SET secret_hash = $2 WHERE account_id = $1", account_id, secret_hash)


async def add_session(tx: Transaction, account_id: UUID, token: str, user_agent: str, now: datetime) -> UUID:
    session_id: UUID = await tx.fetchval(
        "INSERT INTO session (token_hash, account_id, user_agent, created_at, last_used_at) "
        "VALUES ($1, $2, $3, $4, $4) RETURNING session_id",
        token_hash(token),
        account_id,
        user_agent,
        now,
    )
    return session_id


async def session_by_token(tx: Transaction, token: str) -> Session | None:
    row = await tx.fetchrow(
        "SELECT s.session_id, s.created_at, s.last_used_at, s.ended_at, a.* "
        "FROM session s JOIN account a USING (account_id) WHERE s.token_hash = $1 AND a.active",
        token_hash(token),
    )
    if row is None:
        return None
    times = SessionTimes(row["created_at"], row["last_used_at"], row["ended_at"])
    return Session(row["session_id"], times, _account(row))


async def touch_session(tx: Transaction, session_id: UUID, now: datetime) -> None:
    """Note the use of a session; at most once a minute, so that reading pages writes little."""
    await tx.execute(
        "UPDATE session SET last_used_at = $2 "
        "WHERE session_id = $1 AND last_used_at < $2::timestamptz - interval '1 minute'",
        session_id,
        now,
    )


async def end_session(tx: Transaction, token: str, now: datetime) -> UUID | None:
    """End a live session and return its id; None when there is nothing to end."""
    ended: UUID | None = await tx.fetchval(
        "UPDATE session SET ended_at = $2 WHERE token_hash = $1 AND ended_at IS NULL RETURNING session_id",
        token_hash(token),
        now,
    )
    return ended


async def add_security_fact(tx: Transaction, fact: str, account_id: UUID | None, address: str) -> None:
    await tx.execute(
        "INSERT INTO security_fact (fact, account_id, address) VALUES ($1, $2, $3)", fact, account_id, address
    )


async def lock_signing_keys(tx: Transaction) -> None:
    """Make replicas that start together agree on one first key."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('auth.signing_key'))")


async def signing_keys(tx: Transaction) -> Sequence[Any]:
    """The keys, newest first: the first signs, all of them verify."""
    return await tx.fetch("SELECT * FROM signing_key ORDER BY created_at DESC, key_id LIMIT 5")


async def add_signing_key(tx: Transaction, key_id: str, private_key: bytes, public_key: dict[str, Any]) -> None:
    await tx.execute(
        "INSERT INTO signing_key (key_id, private_key, public_key) VALUES ($1, $2, $3)", key_id, private_key, public_key
    )


async def household_by_reference(tx: Transaction, reference: str) -> tuple[UUID, bytes] | None:
    row = await tx.fetchrow("SELECT household_id, wish_digest FROM household WHERE reference = $1", reference)
    return (row["household_id"], row["wish_digest"]) if row else None


async def add_household(tx: Transaction, wish: HouseholdWish, digest: bytes) -> UUID:
    """The household and its children; a child that another household has is joined, not copied."""
    household_id: UUID = await tx.fetchval(
        "INSERT INTO household (reference, name, address, wish_digest) VALUES ($1, $2, $3, $4) RETURNING household_id",
        wish.reference,
        wish.name,
        list(wish.address),
        digest,
    )
    for position, child in enumerate(wish.children):
        child_id = child.child_id or await _add_child(tx, child)
        await tx.execute(
            "INSERT INTO household_child (household_id, child_id, custody, position) VALUES ($1, $2, $3, $4)",
            household_id,
            child_id,
            child.custody,
            position,
        )
    return household_id


async def _add_child(tx: Transaction, child: ChildWish) -> UUID:
    child_id: UUID = await tx.fetchval(
        "INSERT INTO child (first_name, last_name, birth_date, school, class_name) "
        "VALUES ($1, $2, $3, $4, $5) RETURNING child_id",
        child.first_name,
        child.last_name,
        child.birth_date,
        child.school,
        child.class_name,
    )
    return child_id


async def known_children(tx: Transaction, child_ids: Sequence[UUID]) -> set[UUID]:
    rows = await tx.fetch("SELECT child_id FROM child WHERE child_id = ANY($1::uuid[])", list(child_ids))
    return {row["child_id"] for row in rows}


async def add_account(
    tx: Transaction,
    *,
    identifier: str,
    secret_hash: str,
    household_id: UUID | None,
    first_name: str,
    last_name: str,
    email: str | None,
    roles: Sequence[Role],
) -> UUID | None:
    """A new account; None when the identifier is taken."""
    account_id: UUID | None = await tx.fetchval(
        "INSERT INTO account (identifier, secret_hash, household_id, first_name, last_name, email, roles) "
        "VALUES (lower($1), $2, $3, $4, $5, $6, $7) ON CONFLICT (identifier) DO NOTHING RETURNING account_id",
        identifier,
        secret_hash,
        household_id,
        first_name,
        last_name,
        email,
        [role.value for role in roles],
    )
    return account_id


async def replace_staff(
    tx: Transaction, *, identifier: str, secret_hash: str, name: str, email: str | None, roles: Sequence[Role]
) -> UUID | None:
    """Give an account of the town hall a new secret and roles; None when there is none of that identifier."""
    account_id: UUID | None = await tx.fetchval(
        "UPDATE account SET secret_hash = $2, first_name = $3, last_name = '', email = $4, roles = $5, "
        "version = version + 1 WHERE identifier = lower($1) AND household_id IS NULL RETURNING account_id",
        identifier,
        secret_hash,
        name,
        email,
        [role.value for role in roles],
    )
    return account_id


async def save_email(tx: Transaction, account_id: UUID, email: str) -> GuardianChanged | None:
    """Set a guardian's address; returns the guardian as it is now, None when it is not one."""
    row = await tx.fetchrow(
        "UPDATE account SET email = $2, version = version + 1 "
        "WHERE account_id = $1 AND household_id IS NOT NULL RETURNING *",
        account_id,
        email,
    )
    return _guardian(row) if row else None


def _guardian(row: Any) -> GuardianChanged:
    return GuardianChanged(
        guardian_id=row["account_id"],
        household_id=row["household_id"],
        version=row["version"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        email=row["email"],
        active=row["active"],
    )


async def guardians(tx: Transaction, household_ids: Sequence[UUID]) -> list[GuardianChanged]:
    rows = await tx.fetch(
        "SELECT * FROM account WHERE household_id = ANY($1::uuid[]) ORDER BY identifier", list(household_ids)
    )
    return [_guardian(row) for row in rows]


async def household_ids(tx: Transaction) -> list[UUID]:
    return [row["household_id"] for row in await tx.fetch("SELECT household_id FROM household ORDER BY reference")]


async def households(tx: Transaction, ids: Sequence[UUID]) -> list[HouseholdView]:
    """Households with their guardians and children, in the order of their references."""
    rows = await tx.fetch("SELECT * FROM household WHERE household_id = ANY($1::uuid[]) ORDER BY reference", list(ids))
    children = await tx.fetch(
        "SELECT hc.household_id, hc.custody, c.* FROM household_child hc JOIN child c USING (child_id) "
        "WHERE hc.household_id = ANY($1::uuid[]) ORDER BY hc.position",
        list(ids),
    )
    accounts = await tx.fetch(
        "SELECT * FROM account WHERE household_id = ANY($1::uuid[]) ORDER BY first_name", list(ids)
    )
    return [
        HouseholdView(
            household_id=row["household_id"],
            version=row["version"],
            reference=row["reference"],
            name=row["name"],
            address=tuple(row["address"]),
            guardians=tuple(
                GuardianView(
                    guardian_id=account["account_id"],
                    first_name=account["first_name"],
                    last_name=account["last_name"],
                    email=account["email"],
                    identifier=account["identifier"],
                )
                for account in accounts
                if account["household_id"] == row["household_id"]
            ),
            children=tuple(_child(child) for child in children if child["household_id"] == row["household_id"]),
        )
        for row in rows
    ]


def _child(row: Any) -> HouseholdChild:
    return HouseholdChild(
        child_id=row["child_id"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        birth_date=row["birth_date"],
        school=row["school"],
        class_name=row["class_name"],
        custody=row["custody"],
    )
