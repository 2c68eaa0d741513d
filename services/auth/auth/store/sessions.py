"""Sessions and signing keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from auth.domain.sign_in import SessionTimes, stage
from auth.store.accounts import Account, account_of, token_hash
from chassis.database import Transaction
from contracts.api.auth import SessionStage, SessionView
from contracts.model import Language


@dataclass(frozen=True)
class Session:
    """A session, whose it is, and the household's language; French for staff."""

    session_id: UUID
    user_agent: str
    code_given: bool
    times: SessionTimes
    account: Account
    locale: Language

    @property
    def stage(self) -> SessionStage:
        """What it still wants."""
        return stage(self.account.set_up, wants_code=self.account.has_totp and not self.code_given)


async def add_session(
    tx: Transaction, account_id: UUID, token: str, user_agent: str, now: datetime, *, code_given: bool = False
) -> UUID:
    session_id: UUID = await tx.fetchval(
        "INSERT INTO session (token_hash, account_id, user_agent, code_given, created_at, last_used_at) "
        "VALUES ($1, $2, $3, $4, $5, $5) RETURNING session_id",
        token_hash(token),
        account_id,
        user_agent,
        code_given,
        now,
    )
    return session_id


async def is_new_device(tx: Transaction, account_id: UUID, device: str, now: datetime) -> bool:
    """Note the device of a sign-in; whether the account was used before, and never on this one."""
    hashed = token_hash(device)
    is_first_time: bool = await tx.fetchval(
        "INSERT INTO device (account_id, device_hash, first_used_at, last_used_at) VALUES ($1, $2, $3, $3) "
        "ON CONFLICT (account_id, device_hash) DO UPDATE SET last_used_at = $3 RETURNING xmax = 0",
        account_id,
        hashed,
        now,
    )
    query = "SELECT EXISTS (SELECT FROM device WHERE account_id = $1 AND device_hash <> $2)"
    return is_first_time and bool(await tx.fetchval(query, account_id, hashed))


async def is_known_device(tx: Transaction, account_id: UUID | None, device: str) -> bool:
    """Tell whether the account, or any when None, was signed in to with this device."""
    query = "SELECT EXISTS (SELECT FROM device WHERE device_hash = $1 AND ($2::uuid IS NULL OR account_id = $2))"
    return bool(await tx.fetchval(query, token_hash(device), account_id))


async def session_by_token(tx: Transaction, token: str) -> Session | None:
    """The session of that token, over or not; its account is active."""
    row = await tx.fetchrow(
        "SELECT s.session_id, s.user_agent, s.code_given, s.created_at, s.last_used_at, s.ended_at, h.locale, "
        "a.* FROM session s JOIN account a USING (account_id) LEFT JOIN household h USING (household_id) "
        "WHERE s.token_hash = $1 AND a.active",
        token_hash(token),
    )
    if row is None:
        return None
    times = SessionTimes(row["created_at"], row["last_used_at"], row["ended_at"])
    locale = Language(row["locale"] or Language.FR)
    return Session(row["session_id"], row["user_agent"], row["code_given"], times, account_of(row), locale)


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


async def end_sessions(
    tx: Transaction, account_ids: Sequence[UUID], now: datetime, *, only: UUID | None = None, but: UUID | None = None
) -> list[UUID]:
    """End the live sessions of accounts, one of them alone, or all but one; which were ended."""
    rows = await tx.fetch(
        "UPDATE session SET ended_at = $2 WHERE account_id = ANY($1::uuid[]) AND ended_at IS NULL "
        "AND ($3::uuid IS NULL OR session_id = $3) AND ($4::uuid IS NULL OR session_id <> $4) RETURNING session_id",
        list(account_ids),
        now,
        only,
        but,
    )
    return [row["session_id"] for row in rows]


async def belongs(tx: Transaction, session_id: UUID, account_id: UUID) -> bool:
    """Tell whether the session is the account's."""
    return bool(
        await tx.fetchval("SELECT true FROM session WHERE session_id = $1 AND account_id = $2", session_id, account_id)
    )


async def user_agent(tx: Transaction, session_id: UUID) -> str:
    """The browser of a session, for the one that takes its place."""
    found = await tx.fetchval("SELECT user_agent FROM session WHERE session_id = $1", session_id)
    return found or ""


async def code_was_given(tx: Transaction, session_id: UUID) -> None:
    await tx.execute("UPDATE session SET code_given = true WHERE session_id = $1", session_id)


async def open_sessions(
    tx: Transaction, account_id: UUID, current: UUID | None, now: datetime, *, idle: timedelta, longest: timedelta
) -> tuple[SessionView, ...]:
    """What may still be used, the latest first."""
    rows = await tx.fetch(
        "SELECT session_id, user_agent, created_at, last_used_at FROM session WHERE account_id = $1 "
        "AND ended_at IS NULL AND last_used_at > $2 AND created_at > $3 ORDER BY last_used_at DESC LIMIT 50",
        account_id,
        now - idle,
        now - longest,
    )
    return tuple(SessionView(**row, is_current=row["session_id"] == current) for row in rows)


async def lock_signing_keys(tx: Transaction) -> None:
    """Make replicas that start together agree on one first key."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('auth.signing_key'))")


async def signing_keys(tx: Transaction) -> Sequence[Any]:
    """The published keys, the one that signs first: the newest whose time has come."""
    return await tx.fetch(
        "SELECT *, signs_from <= now() AS may_sign FROM signing_key WHERE retires_at IS NULL OR retires_at > now() "
        "ORDER BY may_sign DESC, signs_from DESC, key_id LIMIT 8"
    )


async def add_signing_key(
    tx: Transaction, key_id: str, private_key: bytes, public_key: dict[str, Any], wait: timedelta = timedelta(0)
) -> None:
    """A key that is published at once and signs after ``wait``."""
    await tx.execute(
        "INSERT INTO signing_key (key_id, private_key, public_key, signs_from) VALUES ($1, $2, $3, now() + $4)",
        key_id,
        private_key,
        public_key,
        wait,
    )


async def notify_signing_keys(tx: Transaction) -> None:
    """Have every replica read the keys again once this is committed."""
    await tx.execute("SELECT pg_notify('signing_keys_changed', '')")


async def retire_signing_keys(tx: Transaction, but: str, after: timedelta) -> None:
    """Every key but one leaves the published ones after a while."""
    await tx.execute("UPDATE signing_key SET retires_at = least(retires_at, now() + $2) WHERE key_id <> $1", but, after)
