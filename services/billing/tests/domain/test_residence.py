"""Where a household lives, out of what is known of it."""

from datetime import date

from billing.domain.residence import residences
from contracts.api.tariffs import Terms


def terms(day: date, *, resident: bool, quotient: int | None = None) -> Terms:
    return Terms(valid_from=day, quotient_cents=quotient, resident=resident)


def test_only_the_days_on_which_it_changes_are_told_and_the_latest_word_on_a_day_holds() -> None:
    january, march, june = date(2026, 1, 1), date(2026, 3, 1), date(2026, 6, 1)
    assert residences([]) == ()
    assert residences([terms(january, resident=True)]) == ()
    known = [
        terms(march, resident=False),
        terms(january, resident=False, quotient=50_000),
        terms(june, resident=False),
        terms(june, resident=True),
    ]
    assert [(each.first_day, each.resident) for each in residences(known)] == [(january, False), (june, True)]
    corrected = [*known, terms(january, resident=True), terms(march, resident=True)]
    assert residences(corrected) == ()
