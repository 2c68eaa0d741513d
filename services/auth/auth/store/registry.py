"""Households, guardians and children."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain
from typing import Any
from uuid import UUID

from auth.domain.registry import Child, Guardian, Household, Place, Plan
from auth.store.accounts import guardian_of
from chassis.database import Transaction
from contracts.api.auth import GuardianView, HouseholdRequest, HouseholdView
from contracts.events.auth import Custody, GuardianChanged, HouseholdChild, Span
from contracts.model import Language

BATCH = 500

Progress = Callable[[int], Awaitable[None]]


async def lock(tx: Transaction) -> None:
    """One change of the registry at a time, so that what was compared is what is changed."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('auth.registry'))")


async def household_by_reference(tx: Transaction, reference: str) -> tuple[UUID, bytes | None] | None:
    row = await tx.fetchrow("SELECT household_id, wish_digest FROM household WHERE reference = $1", reference)
    return (row["household_id"], row["wish_digest"]) if row else None


async def add_household(tx: Transaction, request: HouseholdRequest, digest: bytes) -> UUID:
    """The household and its children; a child that another household has is joined, not copied."""
    household_id: UUID = await tx.fetchval(
        "INSERT INTO household (reference, name, address, locale, wish_digest) VALUES ($1, $2, $3, $4, $5) "
        "RETURNING household_id",
        request.reference,
        request.name,
        list(request.address),
        request.locale,
        digest,
    )
    for position, child in enumerate(request.children):
        child_id = child.child_id or await tx.fetchval(
            "INSERT INTO child (first_name, last_name, birth_date, school, class_name) "
            "VALUES ($1, $2, $3, $4, $5) RETURNING child_id",
            child.first_name,
            child.last_name,
            child.birth_date,
            child.school,
            child.class_name,
        )
        await tx.execute(
            "INSERT INTO household_child (household_id, child_id, custody, custody_days, position) "
            "VALUES ($1, $2, $3, $4, $5)",
            household_id,
            child_id,
            child.custody,
            _days(child.custody_days),
            position,
        )
    return household_id


async def known_children(tx: Transaction, child_ids: Sequence[UUID]) -> dict[UUID, Child]:
    rows = await tx.fetch("SELECT * FROM child WHERE child_id = ANY($1::uuid[])", list(child_ids))
    return {row["child_id"]: _child(row) for row in rows}


async def load(tx: Transaction, ids: Sequence[UUID] | None = None) -> dict[str, Household]:
    """Households as the domain knows them, by reference: those named, or all that were not erased."""
    chosen = list(ids) if ids is not None else None
    rows = await tx.fetch(
        "SELECT * FROM household WHERE erased_at IS NULL AND ($1::uuid[] IS NULL OR household_id = ANY($1)) "
        "ORDER BY reference",
        chosen,
    )
    places: dict[UUID, list[Place]] = defaultdict(list)
    for row in await tx.fetch(
        "SELECT hc.household_id, hc.custody, hc.custody_days, c.* "
        "FROM household_child hc JOIN child c USING (child_id) "
        "WHERE $1::uuid[] IS NULL OR hc.household_id = ANY($1) ORDER BY hc.position",
        chosen,
    ):
        places[row["household_id"]].append(Place(_child(row), Custody(row["custody"]), _spans(row["custody_days"])))
    guardians: dict[UUID, list[Guardian]] = defaultdict(list)
    for row in await tx.fetch(
        "SELECT account_id, household_id, first_name, last_name, email, email_confirmed_at IS NOT NULL AS owned "
        "FROM account WHERE active AND household_id IS NOT NULL AND ($1::uuid[] IS NULL OR household_id = ANY($1)) "
        "ORDER BY position, identifier",
        chosen,
    ):
        found = Guardian(row["first_name"], row["last_name"], row["email"], row["account_id"], row["owned"])
        guardians[row["household_id"]].append(found)
    return {
        row["reference"]: Household(
            row["reference"],
            row["name"],
            tuple(row["address"]),
            tuple(guardians[row["household_id"]]),
            tuple(places[row["household_id"]]),
            row["household_id"],
            row["active"],
            Language(row["locale"]),
        )
        for row in rows
    }


async def erased_references(tx: Transaction, references: Sequence[str]) -> set[str]:
    """Those of the references whose household was erased: what accounting keeps still bears them."""
    rows = await tx.fetch(
        "SELECT reference FROM household WHERE erased_at IS NOT NULL AND reference = ANY($1)", list(references)
    )
    return {row["reference"] for row in rows}


async def numbered_children(tx: Transaction) -> dict[str, Child]:
    """The children with a number of the town hall's, by it."""
    return {row["reference"]: _child(row) for row in await tx.fetch("SELECT * FROM child WHERE reference IS NOT NULL")}


def _child(row: Any) -> Child:
    return Child(
        row["first_name"],
        row["last_name"],
        row["birth_date"],
        row["school"],
        row["class_name"],
        row["reference"],
        row["child_id"],
    )


def _spans(days: Any) -> tuple[Span, ...]:
    return tuple(Span(first_day=first, last_day=last) for first, last in days)


def _days(spans: Iterable[Span]) -> list[list[str]]:
    return [[each.first_day.isoformat(), each.last_day.isoformat()] for each in spans]


async def carry_out(
    tx: Transaction, plans: Sequence[Plan], identifier: Callable[[], str], progress: Progress | None = None
) -> list[UUID]:
    """Make the households as the plans say; every household that changed, those that share a changed child included."""
    for start in range(0, len(plans), BATCH):
        some = plans[start : start + BATCH]
        await _write_households(tx, some)
        await _write_children(tx, some)
        await _write_guardians(tx, some, identifier)
        if progress:
            await progress(start + len(some))
    written = {each.after.household_id for each in plans}
    children = [child.child_id for each in plans for child in each.changed_children]
    rows = await tx.fetch(
        "UPDATE household SET version = version + 1 WHERE household_id IN "
        "(SELECT household_id FROM household_child WHERE child_id = ANY($1::uuid[])) "
        "AND household_id <> ALL($2::uuid[]) RETURNING household_id",
        children,
        list(written),
    )
    return [each for each in written if each] + [row["household_id"] for row in rows]


async def _write_households(tx: Transaction, plans: Sequence[Plan]) -> None:
    await tx.executemany(
        "INSERT INTO household (household_id, reference, name, address, locale) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (household_id) DO UPDATE SET name = $3, address = $4, locale = $5, active = true, "
        "version = household.version + 1",
        [(p.household_id, p.reference, p.name, list(p.address), p.locale) for p in (plan.after for plan in plans)],
    )


async def _write_children(tx: Transaction, plans: Sequence[Plan]) -> None:
    children = chain.from_iterable((*p.added_children, *p.changed_children) for p in plans)
    await tx.executemany(
        "INSERT INTO child (child_id, reference, first_name, last_name, birth_date, school, class_name) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (child_id) DO UPDATE SET reference = $2, first_name = $3, "
        "last_name = $4, birth_date = $5, school = $6, class_name = $7",
        [(c.child_id, c.reference, c.first_name, c.last_name, c.birth_date, c.school, c.class_name) for c in children],
    )
    await tx.execute(
        "DELETE FROM household_child WHERE household_id = ANY($1::uuid[])", [p.after.household_id for p in plans]
    )
    await tx.executemany(
        "INSERT INTO household_child (household_id, child_id, custody, custody_days, position) "
        "VALUES ($1, $2, $3, $4, $5)",
        [
            (p.after.household_id, place.child.child_id, place.custody.value, _days(place.custody_days), position)
            for p in plans
            for position, place in enumerate(p.after.places)
        ],
    )


async def _write_guardians(tx: Transaction, plans: Sequence[Plan], identifier: Callable[[], str]) -> None:
    added = [
        (each.guardian_id, identifier(), p.after.household_id, each.first_name, each.last_name, each.email, position)
        for p in plans
        for position, each in enumerate(p.after.guardians)
        if each in p.added_guardians
    ]
    await tx.executemany(
        "INSERT INTO account (account_id, identifier, set_up, household_id, first_name, last_name, email, position, "
        "roles) VALUES ($1, $2, 'letter', $3, $4, $5, $6, $7, '{parent}')",
        added,
    )
    await tx.executemany(
        "UPDATE account SET first_name = $2, last_name = $3, email = $4, version = version + 1 WHERE account_id = $1",
        [
            (each.guardian_id, each.first_name, each.last_name, each.email)
            for p in plans
            for each in p.changed_guardians
        ],
    )
    await close_accounts(tx, [each for p in plans for each in p.closed_guardians])


async def close_accounts(tx: Transaction, account_ids: Sequence[UUID]) -> None:
    """Nobody signs in with them any more; whoever calls ends their sessions."""
    await tx.execute(
        "UPDATE account SET active = false, state = state + 1, version = version + 1 "
        "WHERE account_id = ANY($1::uuid[]) AND active",
        list(account_ids),
    )


async def close_households(tx: Transaction, ids: Sequence[UUID]) -> None:
    await tx.execute(
        "UPDATE household SET active = false, version = version + 1 WHERE household_id = ANY($1::uuid[])", list(ids)
    )


async def guardians(tx: Transaction, household_ids: Sequence[UUID]) -> list[GuardianChanged]:
    rows = await tx.fetch(
        "SELECT * FROM account WHERE household_id = ANY($1::uuid[]) ORDER BY identifier", list(household_ids)
    )
    return [guardian_of(row) for row in rows]


async def guardian_ids(tx: Transaction, household_ids: Sequence[UUID]) -> list[UUID]:
    rows = await tx.fetch("SELECT account_id FROM account WHERE household_id = ANY($1::uuid[])", list(household_ids))
    return [row["account_id"] for row in rows]


async def household_ids(tx: Transaction) -> list[UUID]:
    return [row["household_id"] for row in await tx.fetch("SELECT household_id FROM household ORDER BY reference")]


async def search(tx: Transaction, text: str, limit: int) -> tuple[list[UUID], int, int]:
    """The first households whose reference, name or member holds the text; how many do; guardians without a letter."""
    rows = await tx.fetch(
        "SELECT household_id, count(*) OVER () AS total FROM household h WHERE erased_at IS NULL AND ($1 = '' "
        "OR position(lower($1) IN lower(h.reference || ' ' || h.name)) > 0 OR EXISTS (SELECT FROM account a "
        "WHERE a.household_id = h.household_id AND position(lower($1) IN lower(a.first_name || ' ' || a.last_name || "
        "' ' || coalesce(a.email, ''))) > 0) OR EXISTS (SELECT FROM household_child hc JOIN child c USING (child_id) "
        "WHERE hc.household_id = h.household_id AND position(lower($1) IN lower(c.first_name || ' ' || c.last_name)) "
        "> 0)) ORDER BY reference LIMIT $2",
        text,
        limit,
    )
    waiting: int = await tx.fetchval(
        "SELECT count(*) FROM account WHERE active AND set_up = 'letter' AND letter_at IS NULL"
    )
    return [row["household_id"] for row in rows], rows[0]["total"] if rows else 0, waiting


async def households(tx: Transaction, ids: Sequence[UUID]) -> list[HouseholdView]:
    """Households with their guardians and children, in the order of their references."""
    rows = await tx.fetch("SELECT * FROM household WHERE household_id = ANY($1::uuid[]) ORDER BY reference", list(ids))
    children: dict[UUID, list[HouseholdChild]] = defaultdict(list)
    for child in await tx.fetch(
        "SELECT hc.household_id, hc.custody, hc.custody_days, c.* "
        "FROM household_child hc JOIN child c USING (child_id) "
        "WHERE hc.household_id = ANY($1::uuid[]) ORDER BY hc.position",
        list(ids),
    ):
        children[child["household_id"]].append(_child_view(child))
    adults: dict[UUID, list[GuardianView]] = defaultdict(list)
    for account in await tx.fetch(
        "SELECT * FROM account WHERE household_id = ANY($1::uuid[]) AND active ORDER BY position, first_name", list(ids)
    ):
        adults[account["household_id"]].append(_guardian_view(account))
    return [
        HouseholdView(
            household_id=row["household_id"],
            version=row["version"],
            reference=row["reference"],
            name=row["name"],
            address=tuple(row["address"]),
            active=row["active"],
            erased=row["erased_at"] is not None,
            locale=Language(row["locale"]),
            guardians=tuple(adults[row["household_id"]]),
            children=tuple(children[row["household_id"]]),
        )
        for row in rows
    ]


def _guardian_view(row: Any) -> GuardianView:
    return GuardianView(
        guardian_id=row["account_id"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        email=row["email"],
        identifier=row["identifier"],
        letter_at=row["letter_at"],
        signed_in_once=row["set_up"] != "letter",
    )


def _child_view(row: Any) -> HouseholdChild:
    return HouseholdChild(
        child_id=row["child_id"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        birth_date=row["birth_date"],
        school=row["school"],
        class_name=row["class_name"],
        custody=row["custody"],
        custody_days=_spans(row["custody_days"]),
    )


async def guardians_for_letters(tx: Transaction, household_id: UUID | None, limit: int) -> list[tuple[UUID, UUID]]:
    """Whom to write to, their rows locked: one household's guardians, or the next that never had a letter."""
    rows = await tx.fetch(
        "SELECT a.account_id, a.household_id FROM account a JOIN household h USING (household_id) "
        "WHERE a.active AND CASE WHEN $1::uuid IS NULL THEN a.set_up = 'letter' AND a.letter_at IS NULL "
        "ELSE a.household_id = $1 END ORDER BY h.reference, a.position, a.identifier LIMIT $2 "
        "FOR UPDATE OF a SKIP LOCKED",
        household_id,
        limit,
    )
    return [(row["account_id"], row["household_id"]) for row in rows]


async def save_letter(tx: Transaction, account_id: UUID, letter_hash: str) -> None:
    """New codes by letter: everything that let somebody in before lets nobody in now, the confirmed address included.

    It is confirmed again at the first sign-in with the letter: until then no link for a new secret is sent to it.
    """
    await tx.execute(
        "UPDATE account SET secret_hash = $2, set_up = 'letter', state = state + 1, letter_at = now(), "
        "totp_secret = NULL, totp_since = NULL, email_confirmed_at = NULL WHERE account_id = $1",
        account_id,
        letter_hash,
    )
