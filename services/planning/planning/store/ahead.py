"""What comes next for a household, read by one statement however many children it has."""

from datetime import date, datetime, timedelta
from uuid import UUID

from chassis.database import Transaction
from contracts.api.months import HouseholdAhead, Offer
from planning.domain.ahead import ahead
from planning.store import calendars, households

WINDOW = timedelta(days=62)
"""How far ahead is looked for the next booked day."""

AHEAD = """
SELECT c.*,
    (SELECT version FROM calendar_version) AS year,
    EXISTS (SELECT FROM enrolment e WHERE e.household_id = c.household_id AND e.child_id = c.child_id) AS enrolled,
    ARRAY(SELECT (b.activity_id, b.day) FROM booking b WHERE b.household_id = c.household_id
        AND b.child_id = c.child_id AND b.booked AND b.day BETWEEN $2 AND $3) AS booked,
    ARRAY(SELECT (w.activity_id, w.day, w.offered_until) FROM waiting w WHERE w.household_id = c.household_id
        AND w.child_id = c.child_id AND w.offered_until > $4) AS offers
FROM household_child c WHERE c.household_id = $1 AND c.present ORDER BY c.position"""


async def of_household(tx: Transaction, zone: str, household_id: UUID, *, today: date, now: datetime) -> HouseholdAhead:
    """The next days of each child, and the places that are held for any of them."""
    rows = await tx.fetch(AHEAD, household_id, today, today + WINDOW, now)
    if not rows:
        return HouseholdAhead(children=(), offers=())
    year = await calendars.year(tx, zone, rows[0]["year"])
    children = [households.child_of(row, enrolled=row["enrolled"]) for row in rows]
    offers = [
        Offer(
            child_id=row["child_id"],
            child_first_name=row["first_name"],
            activity_id=each[0],
            activity_label=year.activities[each[0]].label,
            day=each[1],
            until=each[2],
            version=row["bookings_version"],
        )
        for row in rows
        for each in row["offers"]
    ]
    return HouseholdAhead(
        children=tuple(
            ahead(child, [(each[0], each[1]) for each in row["booked"]], year.calendar, year.activities)
            for child, row in zip(children, rows, strict=True)
        ),
        offers=tuple(sorted(offers, key=lambda each: (each.until, each.day, each.child_first_name))),
    )
