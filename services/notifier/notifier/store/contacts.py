"""Guardians, what they want to be told, and the schools and activities of their children.

Who is written to is read ``FOR SHARE``: an erasure waits for the mails that are being intended, and finds them.
"""

from datetime import datetime
from uuid import UUID

from chassis.database import Transaction
from contracts.api.notifier import Preferences, PreferencesView
from contracts.events.auth import GuardianChanged, HouseholdChanged
from contracts.events.planning import BookingsChanged, EnrolmentChanged
from notifier.domain.mails import Contact, Kind


async def save_guardian(tx: Transaction, event: GuardianChanged) -> None:
    """Keep a guardian as told, unless a newer version was heard before."""
    await tx.execute(
        "INSERT INTO guardian (guardian_id, household_id, version, first_name, email, active, erased) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (guardian_id) DO UPDATE SET household_id = $2, version = $3, "
        "first_name = $4, email = $5, active = $6, erased = $7 WHERE guardian.version < $3",
        event.guardian_id,
        event.household_id,
        event.version,
        event.first_name,
        event.email,
        event.active,
        event.erased,
    )


async def erase(tx: Transaction, guardian_id: UUID) -> None:
    """What they wanted to be told goes too; that they are erased stays known."""
    await tx.execute("DELETE FROM preference WHERE guardian_id = $1", guardian_id)


async def is_erased(tx: Transaction, guardian_id: UUID) -> bool:
    query = "SELECT EXISTS (SELECT FROM guardian WHERE guardian_id = $1 AND erased)"
    return bool(await tx.fetchval(query, guardian_id))


async def is_known(tx: Transaction, guardian_id: UUID) -> bool:
    """Whether an address of the guardian is known."""
    query = "SELECT EXISTS (SELECT FROM guardian WHERE guardian_id = $1 AND email IS NOT NULL)"
    return bool(await tx.fetchval(query, guardian_id))


async def contact(tx: Transaction, guardian_id: UUID, household_id: UUID) -> Contact | None:
    """The guardian, as long as they are of that household: what one household pays is told to no other."""
    row = await tx.fetchrow(
        "SELECT guardian_id AS person_id, first_name, email FROM guardian "
        "WHERE guardian_id = $1 AND household_id = $2 AND active AND email IS NOT NULL FOR SHARE",
        guardian_id,
        household_id,
    )
    return Contact(**row) if row else None


async def guardians(tx: Transaction, household_id: UUID) -> list[Contact]:
    """Every adult of the household whose address is known: for what cannot wait to be asked for."""
    rows = await tx.fetch(
        "SELECT guardian_id AS person_id, first_name, email FROM guardian "
        "WHERE household_id = $1 AND active AND email IS NOT NULL FOR SHARE",
        household_id,
    )
    return [Contact(**row) for row in rows]


async def who_want_invoices(tx: Transaction, household_id: UUID) -> list[Contact]:
    rows = await tx.fetch(
        "SELECT guardian_id AS person_id, first_name, email FROM guardian JOIN preference USING (guardian_id) "
        "WHERE household_id = $1 AND active AND email IS NOT NULL AND invoice_published FOR SHARE OF guardian",
        household_id,
    )
    return [Contact(**row) for row in rows]


async def who_want_reminders(tx: Transaction, household_id: UUID) -> list[Contact]:
    """Every guardian but those who left them."""
    rows = await tx.fetch(
        "SELECT guardian_id AS person_id, first_name, email FROM guardian LEFT JOIN preference USING (guardian_id) "
        "WHERE household_id = $1 AND active AND email IS NOT NULL AND coalesce(reminders, true) "
        "FOR SHARE OF guardian",
        household_id,
    )
    return [Contact(**row) for row in rows]


async def who_want_recaps(tx: Transaction, household_id: UUID) -> list[Contact]:
    rows = await tx.fetch(
        "SELECT guardian_id AS person_id, first_name, email FROM guardian JOIN preference USING (guardian_id) "
        "WHERE household_id = $1 AND active AND email IS NOT NULL AND booking_recap FOR SHARE OF guardian",
        household_id,
    )
    return [Contact(**row) for row in rows]


async def hold_preferences(tx: Transaction, guardian_id: UUID) -> None:
    """Let one change of somebody's preferences happen at a time."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('notifier.preference/' || $1::text))", str(guardian_id))


async def save_preferences(tx: Transaction, guardian_id: UUID, request: Preferences, at: datetime) -> None:
    await tx.execute(
        "INSERT INTO preference (guardian_id, invoice_published, reminders, booking_recap, announcements, language, "
        "saved_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (guardian_id) DO UPDATE SET invoice_published = $2, "
        "reminders = $3, booking_recap = $4, announcements = $5, language = $6, saved_at = $7",
        guardian_id,
        request.invoice_published,
        request.reminders,
        request.booking_recap,
        request.announcements,
        request.language,
        at,
    )


async def preferences(tx: Transaction, guardian_id: UUID) -> PreferencesView:
    """What is saved, or what holds as long as nothing is."""
    person = await tx.fetchrow(
        "SELECT email, EXISTS (SELECT FROM returned_address WHERE address = lower(email)) AS email_returns "
        "FROM guardian WHERE guardian_id = $1",
        guardian_id,
    )
    address = dict(person) if person else {"email": None, "email_returns": False}
    row = await tx.fetchrow(
        "SELECT invoice_published, reminders, booking_recap, announcements, language, saved_at FROM preference "
        "WHERE guardian_id = $1",
        guardian_id,
    )
    return PreferencesView(**address, **row) if row else PreferencesView(**address, saved_at=None)


async def unsubscribe(tx: Transaction, unsubscribe_key: UUID, kind: Kind, at: datetime) -> bool:
    """Stop one kind of optional mail for the guardian of that key; False when it is nobody's."""
    guardian_id = await tx.fetchval("SELECT guardian_id FROM guardian WHERE unsubscribe_key = $1", unsubscribe_key)
    if guardian_id is None:
        return False
    now_wanted = await preferences(tx, guardian_id)
    field = {
        Kind.INVOICE: "invoice_published",
        Kind.REMINDER: "reminders",
        Kind.RECAP: "booking_recap",
        Kind.ANNOUNCEMENT: "announcements",
    }[kind]
    kept = now_wanted.model_dump(include=set(Preferences.model_fields))
    await save_preferences(tx, guardian_id, Preferences(**{**kept, field: False}), at)
    return True


_NOT_ERASED = "WHERE NOT EXISTS (SELECT FROM household WHERE household_id = $1 AND erased)"


async def save_household(tx: Transaction, event: HouseholdChanged) -> None:
    """Keep a household's children, their schools, and its language, unless a newer version was heard before.

    Of one that was erased, forget what they came to.
    """
    await tx.execute(
        "INSERT INTO household (household_id, version, schools, children, locale, erased) "
        "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (household_id) "
        "DO UPDATE SET version = $2, schools = $3, children = $4, locale = $5, erased = $6 "
        "WHERE household.version < $2",
        event.household_id,
        event.version,
        sorted({child.school for child in event.children}),
        [child.child_id for child in event.children],
        event.locale,
        event.erased,
    )
    if event.erased:
        await tx.execute("DELETE FROM enrolment WHERE household_id = $1", event.household_id)


async def save_enrolment(tx: Transaction, event: EnrolmentChanged) -> None:
    """Keep an enrolment, unless a newer version was heard before or the household was erased."""
    await tx.execute(
        "INSERT INTO enrolment (household_id, child_id, activity_id, activity_label, last_day, version) "
        f"SELECT $1, $2, $3, $4, $5, $6 {_NOT_ERASED} ON CONFLICT (household_id, child_id, activity_id) DO UPDATE "
        "SET activity_label = $4, last_day = $5, version = $6 WHERE enrolment.version < $6",
        event.household_id,
        event.child_id,
        event.activity_id,
        event.activity_label,
        event.last_day,
        event.version,
    )


async def save_bookings(tx: Transaction, event: BookingsChanged) -> None:
    """Keep the last day that the child was ever booked on, activity by activity."""
    await tx.executemany(
        "INSERT INTO enrolment AS e (household_id, child_id, activity_id, activity_label, booked_until) "
        f"SELECT $1, $2, $3, $4, $5 {_NOT_ERASED} ON CONFLICT (household_id, child_id, activity_id) DO UPDATE "
        "SET booked_until = greatest(e.booked_until, $5)",
        [
            (event.household_id, event.child_id, each.activity_id, each.activity_label, each.day)
            for each in sorted(event.days, key=lambda each: (each.activity_id, each.day))
            if each.booked
        ],
    )
