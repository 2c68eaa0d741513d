"""What the clock starts, and what set-up prepares: the school and public holidays of the years to come."""

from datetime import date

import structlog
from aiohttp import web

from chassis.clock import now, today
from chassis.database import DATABASE, Database
from chassis.jobs import Jobs
from planning.settings import SETTINGS, Settings
from planning.store import calendars, freed_places, waiting

ZONES = ("A", "B", "C")
YEARS_BEFORE, YEARS_AFTER = 1, 2
SEPTEMBER = 9

log = structlog.get_logger()
jobs = Jobs()


@jobs.every(seconds=86_400)
async def keep_holidays(app: web.Application) -> None:
    """Keep the holiday tables ahead of the calendar; the published ones are only read when a year is missing."""
    async with app[DATABASE].transaction() as tx:
        last_school, last_public = await calendars.holidays_until(tx)
    if last_school < _end_of_school_year() or last_public.year < today().year + YEARS_AFTER:
        await fill_holidays(app[DATABASE], app[SETTINGS])


@jobs.every(seconds=10)
async def lapse_offers(app: web.Application) -> None:
    """Give on the places whose offers are over; of several replicas the first to lock a day finds them, once."""
    async with app[DATABASE].transaction() as tx:
        slots = await waiting.slots_of_expired_offers(tx, now())
    for slot in slots:
        async with app[DATABASE].transaction() as tx:
            over = await freed_places.expire_offers(tx, app[SETTINGS].school_zone, slot, at=now())
        log.info("offers are over", activity_id=str(slot[0]), day=str(slot[1]), offers=over)


@jobs.every(seconds=3600, wake_on="household_left")
async def leave_places(app: web.Application) -> None:
    """Free the days to come of households that were closed or erased, and of children who left theirs."""
    while days := await _free_some(app):
        log.info("days of those who left freed", days=days)


async def _free_some(app: web.Application) -> int:
    async with app[DATABASE].transaction() as tx:
        return await freed_places.release_departed_child(tx, app[SETTINGS].school_zone, today(), at=now())


async def prepare(settings: Settings) -> None:
    """Fill the holiday tables before the service runs: without them no day is right."""
    database = Database(settings.database_url, connections_max=2)
    await database.start()
    try:
        await fill_holidays(database, settings)
    finally:
        await database.stop()


async def fill_holidays(database: Database, settings: Settings) -> None:
    """Add the holidays that the published calendars know and the tables do not."""
    from holidays import country_holidays  # noqa: PLC0415 - the calendars of every country, needed once a year
    from vacances_scolaires_france import SchoolHolidayDates  # noqa: PLC0415 - likewise

    published = SchoolHolidayDates()
    years = range(today().year - YEARS_BEFORE, today().year + YEARS_AFTER + 1)
    known = [year for year in years if published.min_year <= year <= published.max_year]
    school: list[tuple[str, date, str]] = [
        (zone, day, str(entry["nom_vacances"]))
        for year in known
        for zone in ZONES
        for day, entry in published.holidays_for_year_and_zone(year, zone).items()
    ]
    needed = _end_of_school_year()
    if max((day for _, day, _ in school), default=date.min) < needed:
        log.error("the published school calendar does not cover the school year", until=str(needed))
    public = [
        (day, label)
        for day, label in country_holidays(
            "FR", subdiv=settings.holiday_subdivision, years=years, language="fr"
        ).items()
    ]
    async with database.transaction() as tx:
        await calendars.add_holidays(tx, school, public)


def _end_of_school_year() -> date:
    """The last day of the summer holidays that end this school year."""
    return date(today().year + (today().month >= SEPTEMBER), 8, 31)
