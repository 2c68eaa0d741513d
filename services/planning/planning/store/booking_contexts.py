"""All that decides about children's days, read by one statement: what it says was true at one instant.

The places of a school are counted in a grouped LATERAL, which PostgreSQL cannot turn around: without such places no
booking of another child is read, whatever its statistics say. Of an array it expects ten rows, of a LIMIT it does not
know a tenth: so each child is looked up by its key, never by reading all of a small town.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from chassis.database import Transaction
from contracts.api.enrolments import EnrolmentRequest
from planning.domain.booking_context import Booking, BookingContext, ContextQuery, Slot
from planning.store import calendars, households, waiting

SITUATIONS = f"""
SELECT asked.number, c.*,
    (SELECT version FROM calendar_version) AS year,
    ARRAY(SELECT (e.activity_id, e.first_day, e.last_day)
        FROM enrolment e WHERE e.household_id = c.household_id AND e.child_id = c.child_id) AS enrolments,
    ARRAY(SELECT (b.activity_id, b.day, b.booked, b.version, b.household_id)
        FROM booking b WHERE b.child_id = c.child_id AND b.day BETWEEN asked.first_day AND asked.last_day) AS bookings,
    ARRAY(SELECT (w.activity_id, w.day) FROM waiting w
        WHERE w.child_id = c.child_id AND w.household_id <> c.household_id
        AND w.day BETWEEN asked.first_day AND asked.last_day) AS waits_elsewhere,
    ARRAY(SELECT (w.activity_id, w.day, {waiting.RANK}, w.offered_until)
        FROM waiting_list w WHERE w.child_id = c.child_id AND w.household_id = c.household_id
        AND (w.day BETWEEN asked.first_day AND asked.last_day OR w.offered_until IS NOT NULL)) AS ranks,
    ARRAY(SELECT (o.activity_id, o.day, o.booked + o.held) FROM enrolment e JOIN occupation o USING (activity_id)
        WHERE e.household_id = c.household_id AND e.child_id = c.child_id
        AND o.day BETWEEN asked.first_day AND asked.last_day) AS occupation,
    ARRAY(SELECT (e.activity_id, taken.day, taken.count) FROM enrolment e JOIN activity a USING (activity_id)
        CROSS JOIN LATERAL (SELECT b.day, count(*) FROM booking b
            JOIN household_child s ON s.household_id = b.household_id AND s.child_id = b.child_id
            WHERE b.activity_id = e.activity_id AND s.school = c.school AND b.booked
            AND b.day BETWEEN asked.first_day AND asked.last_day GROUP BY b.day) AS taken
        WHERE e.household_id = c.household_id AND e.child_id = c.child_id
        AND a.school_capacities ? c.school) AS of_school,
    ARRAY(SELECT (w.activity_id, w.day, count(*)) FROM waiting w JOIN activity a USING (activity_id)
        JOIN household_child s ON s.household_id = w.household_id AND s.child_id = w.child_id AND s.school = c.school
        WHERE w.offered_until IS NOT NULL AND a.school_capacities ? c.school
        AND w.day BETWEEN asked.first_day AND asked.last_day GROUP BY w.activity_id, w.day) AS held_of_school,
    ARRAY(SELECT o.custody_days FROM household_child o
        WHERE o.child_id = c.child_id AND o.household_id <> c.household_id AND o.present) AS others_days
FROM (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::date[], $4::date[])
    WITH ORDINALITY AS a (household_id, child_id, first_day, last_day, number) LIMIT $5) AS asked
JOIN household_child c ON c.household_id = asked.household_id AND c.child_id = asked.child_id AND c.present"""  # noqa: S608 - our words


async def booking_context(tx: Transaction, zone: str, look: ContextQuery) -> BookingContext | None:
    """What decides about a child's days between two dates, and the places that are held for it on any day.

    None when the household has no such child.
    """
    return (await booking_contexts(tx, zone, [look]))[0]


async def booking_contexts(tx: Transaction, zone: str, looks: Sequence[ContextQuery]) -> list[BookingContext | None]:
    """The same for many, all as it stands at one instant, in the order in which it is asked for."""
    if not looks:
        return []
    rows = await tx.fetch(SITUATIONS, *map(list, zip(*looks, strict=True)), len(looks))
    found: list[BookingContext | None] = [None] * len(looks)
    for row in rows:
        found[row["number"] - 1] = _situation(row, await calendars.year(tx, zone, row["year"]))
    return found


def _situation(row: Any, year: calendars.Year) -> BookingContext:
    household_id = row["household_id"]
    enrolments = {each[0]: EnrolmentRequest(first_day=each[1], last_day=each[2]) for each in row["enrolments"]}
    others = {(each[0], each[1]) for each in row["bookings"] if each[2] and each[4] != household_id}
    return BookingContext(
        household_id=household_id,
        child=households.child_of(row, enrolled=bool(enrolments)),
        version=row["bookings_version"],
        calendar=year.calendar,
        activities={activity_id: year.activities[activity_id] for activity_id in enrolments},
        enrolments=enrolments,
        bookings={(each[0], each[1]): Booking(each[2], each[3]) for each in row["bookings"] if each[4] == household_id},
        taken_elsewhere=frozenset(others.union(row["waits_elsewhere"])),
        occupation=_counts(row["occupation"]),
        of_school=Counter(_counts(row["of_school"])) + Counter(_counts(row["held_of_school"])),
        ranks=_counts(row["ranks"]),
        offers={(each[0], each[1]): each[3] for each in row["ranks"] if each[3]},
        own_spans=households.spans_of(row["custody_days"]),
        others_spans=tuple(span for days in row["others_days"] for span in households.spans_of(days)),
    )


def _counts(rows: Sequence[Any]) -> dict[Slot, int]:
    return {(each[0], each[1]): each[2] for each in rows}
