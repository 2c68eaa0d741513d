"""The town hall's messages, and the mails made of them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from chassis.clock import day_of
from chassis.database import Transaction
from contracts.api.notifier import (
    Announcement,
    AnnouncementRequest,
    AnnouncementView,
    Audience,
    AudienceActivity,
    AudienceRequest,
)
from notifier.domain.announcements import state
from notifier.domain.mails import PRIORITY, Kind, domain_of

ARCHIVE_MAX = 100
SHOWN_MAX = 10


async def add(tx: Transaction, request: AnnouncementRequest, by: UUID, at: datetime) -> bool:
    """A new message; wakes the job that mails it. False when nobody came to its activity, or goes to its school."""
    label = await tx.fetchval(
        "SELECT activity_label FROM enrolment WHERE activity_id = $1 ORDER BY version DESC LIMIT 1", request.activity_id
    )
    if request.activity_id and label is None:
        return False
    if request.school and request.school not in await schools(tx):
        return False
    await tx.execute(
        "INSERT INTO announcement (markdown, starts_at, ends_at, school, activity_id, activity_label, by_mail, "
        "saved_by, saved_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        request.markdown,
        request.starts_at or at,
        request.ends_at,
        request.school,
        request.activity_id,
        label,
        request.by_mail,
        by,
        at,
    )
    await tx.execute("SELECT pg_notify('announcement_saved', '')")
    return True


async def end(tx: Transaction, announcement_id: int, at: datetime) -> bool:
    """Stop showing a message, and mailing it; False when there is none that could be stopped."""
    ended = await tx.fetchval(
        "UPDATE announcement SET ends_at = greatest($2, starts_at + interval '1 microsecond'), "
        "mailed_at = coalesce(mailed_at, $2) "
        "WHERE announcement_id = $1 AND (ends_at IS NULL OR ends_at > $2) RETURNING true",
        announcement_id,
        at,
    )
    return bool(ended)


async def shown_to_all(tx: Transaction, at: datetime) -> str:
    """The message above the sign-in form: the one saved last hides those before."""
    found = await tx.fetchval(
        "SELECT markdown FROM announcement WHERE starts_at <= $1 AND (ends_at IS NULL OR ends_at > $1) "
        "AND school IS NULL AND activity_id IS NULL ORDER BY announcement_id DESC LIMIT 1",
        at,
    )
    return found or ""


async def shown_to_household(tx: Transaction, household_id: UUID, at: datetime) -> tuple[Announcement, ...]:
    """What a household's guardians see: messages for all, and for the schools and activities of their children."""
    rows = await tx.fetch(
        "SELECT markdown FROM announcement WHERE starts_at <= $1 AND (ends_at IS NULL OR ends_at > $1) "
        "AND is_for($2, school, activity_id, $4) ORDER BY announcement_id DESC LIMIT $3",
        at,
        household_id,
        SHOWN_MAX,
        _day(at),
    )
    return tuple(Announcement(markdown=row["markdown"]) for row in rows)


async def archive(tx: Transaction, at: datetime) -> tuple[AnnouncementView, ...]:
    """Every message, newest first."""
    rows = await tx.fetch(
        "SELECT a.*, deleted_mails + (SELECT count(*) FROM mail m WHERE m.announcement_id = a.announcement_id) "
        "AS mails, "
        "deleted_mails_sent + (SELECT count(*) FROM mail m WHERE m.announcement_id = a.announcement_id "
        "AND m.status = 'sent') AS mails_sent FROM announcement a ORDER BY announcement_id DESC LIMIT $1",
        ARCHIVE_MAX,
    )
    return tuple(_view(row, at) for row in rows)


def _view(row: Any, at: datetime) -> AnnouncementView:
    return AnnouncementView(
        announcement_id=row["announcement_id"],
        markdown=row["markdown"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        school=row["school"],
        activity_id=row["activity_id"],
        activity_label=row["activity_label"],
        by_mail=row["by_mail"],
        state=state(row["starts_at"], row["ends_at"], now=at),
        saved_at=row["saved_at"],
        mails=row["mails"],
        mails_sent=row["mails_sent"],
    )


async def schools(tx: Transaction) -> tuple[str, ...]:
    """The schools that some child goes to."""
    rows = await tx.fetch("SELECT DISTINCT unnest(schools) AS school FROM household ORDER BY school LIMIT 200")
    return tuple(row["school"] for row in rows)


async def activities(tx: Transaction, at: datetime) -> tuple[AudienceActivity, ...]:
    """The activities that some child is enrolled or booked in, now or later."""
    rows = await tx.fetch(
        "SELECT DISTINCT ON (activity_id) activity_id, activity_label AS label FROM enrolment "
        "WHERE greatest(last_day, booked_until) >= $1 ORDER BY activity_id, version DESC LIMIT 200",
        _day(at),
    )
    return tuple(sorted((AudienceActivity(**row) for row in rows), key=lambda each: each.label))


async def audience(tx: Transaction, request: AudienceRequest, at: datetime) -> Audience:
    """Whom a message would be for, and how many mails it would make."""
    row = await tx.fetchrow(
        "SELECT count(DISTINCT g.household_id) AS households, count(*) FILTER (WHERE g.email IS NOT NULL "
        "AND coalesce(p.announcements, true)) AS mails FROM guardian g LEFT JOIN preference p USING (guardian_id) "
        "WHERE g.active AND is_for(g.household_id, $1, $2, $3)",
        request.school,
        request.activity_id,
        _day(at),
    )
    assert row is not None, "a count is always one row"
    return Audience(**row)


def _day(at: datetime) -> date:
    return day_of(at)


async def mail_some(tx: Transaction, at: datetime, limit: int) -> int:
    """Make mails of the oldest message that is to be mailed, for the next guardians in line; how many were looked at.

    The cursor moves in the same transaction: a job that dies goes on where it was, and nobody is written to twice.
    """
    waiting = await tx.fetchrow(
        "SELECT * FROM announcement WHERE by_mail AND mailed_at IS NULL AND starts_at <= $1 "
        "ORDER BY starts_at LIMIT 1 FOR UPDATE SKIP LOCKED",
        at,
    )
    if waiting is None:
        return 0
    rows = await tx.fetch(
        "SELECT g.guardian_id, g.first_name, g.email, (coalesce(p.announcements, true) AND g.active "
        "AND g.email IS NOT NULL AND is_for(g.household_id, $2, $4, $5)) AS is_reader "
        "FROM guardian g LEFT JOIN preference p USING (guardian_id) "
        "WHERE $1::uuid IS NULL OR g.guardian_id > $1 ORDER BY g.guardian_id LIMIT $3 FOR SHARE OF g",
        waiting["mail_cursor"],
        waiting["school"],
        limit,
        waiting["activity_id"],
        _day(at),
    )
    await _add_mails(tx, waiting, [row for row in rows if row["is_reader"]], at)
    await tx.execute(
        "UPDATE announcement SET mail_cursor = $2, mailed_at = $3 WHERE announcement_id = $1",
        waiting["announcement_id"],
        rows[-1]["guardian_id"] if rows else waiting["mail_cursor"],
        at if len(rows) < limit else None,
    )
    await tx.execute("SELECT pg_notify('mail_waiting', '')")
    return max(len(rows), 1)


async def _add_mails(tx: Transaction, announcement: Any, readers: Sequence[Any], at: datetime) -> None:
    announcement_id = announcement["announcement_id"]
    await tx.executemany(
        "INSERT INTO mail (intent, kind, recipient, first_name, domain, person_id, event, priority, "
        "announcement_id, created_at, try_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) "
        "ON CONFLICT (intent) DO NOTHING",
        [
            (
                f"{Kind.ANNOUNCEMENT}/{announcement_id}/{row['guardian_id']}",
                Kind.ANNOUNCEMENT,
                row["email"],
                row["first_name"],
                domain_of(row["email"]),
                row["guardian_id"],
                {"markdown": announcement["markdown"]},
                PRIORITY[Kind.ANNOUNCEMENT],
                announcement_id,
                at,
            )
            for row in readers
        ],
    )
