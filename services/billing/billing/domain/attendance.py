"""What a day costs once it is known who came.

The rules work on the day's price as the family was told it, already rounded; a share of it is rounded the same way.
"""

from decimal import Decimal
from enum import StrEnum

from billing.domain.tariffs import rounded, written
from contracts.api.tariffs import AttendanceRules, Tariff


class Basis(StrEnum):
    """What a day is invoiced as: booked and not checked, or what was marked; ``late`` is fetched late."""

    BOOKED = "booked"
    PRESENT = "present"
    PRESENT_LATE = "present_late"
    ABSENT = "absent"
    JUSTIFIED = "justified"
    EXTRA = "extra"
    EXTRA_LATE = "extra_late"


EXTRAS = {Basis.EXTRA, Basis.EXTRA_LATE}
LATE = {Basis.PRESENT_LATE, Basis.EXTRA_LATE}


def charged(
    rules: AttendanceRules | None, base_cents: int, basis: Basis, *, earlier_absences: int
) -> tuple[int, tuple[str, ...]] | None:
    """What a day costs in cents, and the words that say why; None when it is not invoiced at all.

    ``base_cents`` is its price before attendance; ``earlier_absences`` counts the days of the same child, activity and
    month without a good reason before this one.
    """
    if rules is None:
        return None if basis in EXTRAS else (base_cents, ())
    if basis is Basis.JUSTIFIED:
        return _share(base_cents, rules.justified_percent, "absence justifiée")
    if basis is Basis.ABSENT:
        if earlier_absences < rules.free_absences:
            return 0, (f"absence non justifiée n° {earlier_absences + 1} du mois : non facturée",)
        return _share(base_cents, rules.unjustified_percent, "absence non justifiée")
    added = [
        (rules.extra_cents, "présence sans réservation", basis in EXTRAS),
        (rules.late_pickup_cents, "départ en retard", basis in LATE),
    ]
    words = tuple(f"{what} : +{_euros(cents)}" if cents else what for cents, what, is_so in added if is_so)
    return base_cents + sum(cents for cents, _, is_so in added if is_so), words


def childcare(tariff: Tariff, basis: Basis | None, price_cents: int, base_cents: int) -> int:
    """What of a day's price was paid for care, in the sense of article 200 quater B of the tax code.

    Food is not, where the tariff tells it apart. Surcharges are penalties, and nobody was looked after on a day of
    absence, whatever its reason: neither counts.
    """
    if not tariff.childcare or basis in {Basis.ABSENT, Basis.JUSTIFIED, None}:
        return 0
    part = base_cents
    if tariff.childcare_cents is not None:
        part = min(part, tariff.childcare_cents)
    if tariff.childcare_percent is not None:
        part = rounded(Decimal(base_cents) * tariff.childcare_percent / 100)
    return min(price_cents, part)


def childcare_words(tariff: Tariff, care_cents: int) -> tuple[str, ...]:
    """« dont garde 1,20 € », where a tariff tells it apart: the tax office accepts what the invoice says."""
    is_apart = tariff.childcare_cents is not None or tariff.childcare_percent is not None
    return (f"dont garde {_euros(care_cents)}",) if is_apart and care_cents else ()


def _share(base_cents: int, percent: int, what: str) -> tuple[int, tuple[str, ...]]:
    cents = rounded(Decimal(base_cents) * percent / 100)
    if percent == 0:
        return cents, (f"{what} : non facturée",)
    return cents, (f"{what} : {percent}\N{NO-BREAK SPACE}% de {_euros(base_cents)}",)


def _euros(cents: int) -> str:
    return f"{written(cents)}\N{NO-BREAK SPACE}€"
