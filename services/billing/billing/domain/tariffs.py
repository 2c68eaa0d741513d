"""What a day costs a child, computed exactly, and why.

A price is rounded once, at the end, to the nearest cent, half a cent upwards (``ROUND_HALF_UP``).
The order is: formula, floor and ceiling, then the sibling's reduction.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

from contracts.api.billing import Price
from contracts.api.tariffs import AttendanceRules, Brackets, Proportional, Tariff, Terms

CENT = Decimal(1)


@dataclass(frozen=True)
class Child:
    """A child as tariffs see it: its school, when known, and its rank in the household (1 is the eldest)."""

    school: str | None = None
    rank: int = 1


@dataclass(frozen=True)
class Household:
    """What prices depend on: what is known of the household, from which days on, and its children."""

    household_id: UUID
    terms: tuple[Terms, ...] = ()
    children: tuple[tuple[UUID, Child], ...] = ()

    def on(self, day: date) -> Terms | None:
        """What holds on a day: the newest that has begun. ``terms`` are in the order in which they were recorded."""
        begun = [each for each in self.terms if each.valid_from <= day]
        newest = max((each.valid_from for each in begun), default=None)
        return next((each for each in reversed(begun) if each.valid_from == newest), None)

    def child(self, child_id: UUID) -> Child:
        return dict(self.children).get(child_id, Child())


def rounded(exact_cents: Decimal) -> int:
    """The one rounding of a price."""
    return int(exact_cents.quantize(CENT, ROUND_HALF_UP))


def written(cents: int) -> str:
    """``84500`` as ``845``, ``84550`` as ``845,50``: an amount or a quotient in a sentence."""
    whole, rest = divmod(cents, 100)
    grouped = f"{whole:,}".replace(",", "\N{NO-BREAK SPACE}")
    return f"{grouped},{rest:02d}" if rest else grouped


class PriceBook:
    """The rules of a town, and the prices they made already."""

    def __init__(self, tariffs: Iterable[Tariff]) -> None:
        self._by_activity: dict[UUID, list[Tariff]] = defaultdict(list)
        self._named = {tariff.tariff_id: tariff for tariff in tariffs}
        for tariff in self._named.values():
            self._by_activity[tariff.activity_id].append(tariff)
        self._made: dict[tuple[UUID, Terms | None, int], Price] = {}

    @property
    def activities(self) -> list[UUID]:
        return list(self._by_activity)

    def named(self, tariff_id: UUID) -> Tariff:
        """The rule of this id; one that made an invoice is always there."""
        return self._named[tariff_id]

    def tariff(self, activity_id: UUID, day: date, household: Household, child: Child) -> Tariff | None:
        """The rule that applies: at most one does, since rules that overlap are refused."""
        terms = household.on(day)
        is_resident = terms is None or terms.resident
        for tariff in self._by_activity.get(activity_id, ()):
            if (
                tariff.valid_from <= day
                and (tariff.valid_until is None or day <= tariff.valid_until)
                and tariff.school in {None, child.school}
                and tariff.resident in {None, is_resident}
            ):
                return tariff
        return None

    def price(self, activity_id: UUID, day: date, household: Household, child_id: UUID) -> Price | None:
        """The price of a day with its explanation; None when no rule applies."""
        child = household.child(child_id)
        tariff = self.tariff(activity_id, day, household, child)
        if tariff is None:
            return None
        key = (tariff.tariff_id, household.on(day), child.rank)
        if key not in self._made:
            self._made[key] = price(tariff, key[1], child.rank)
        return self._made[key]


def price(tariff: Tariff, terms: Terms | None, rank: int) -> Price:
    """Apply one rule. ``rank`` is 1 for the eldest child."""
    quotient = terms.quotient_cents if terms else None
    exact, why = _formula(tariff, quotient)
    words = [tariff.label, *why]
    if why and quotient is not None and terms is not None:
        words.insert(1, f"QF {written(quotient)} depuis le {terms.valid_from:%d/%m/%Y}")
    if tariff.resident is not None:
        words.append("habitants" if tariff.resident else "hors commune")
    if rank > 1 and tariff.sibling_percents:
        percent = tariff.sibling_percents[min(rank - 2, len(tariff.sibling_percents) - 1)]
        if percent:
            exact = exact * (100 - percent) / 100
            words.append(f"{rank}e enfant −{percent}\N{NO-BREAK SPACE}%")
    return Price(
        activity_id=tariff.activity_id,
        unit_price_cents=rounded(exact),
        explanation=" · ".join(words),
        tariff_id=tariff.tariff_id,
        quotient_cents=quotient if why else None,
        quotient_from=terms.valid_from if why and terms and quotient is not None else None,
        attendance=told(tariff.attendance) if tariff.attendance else None,
    )


def told(rules: AttendanceRules) -> str:
    """What rules of attendance make of a price, for a family that thinks of booking."""
    justified, unjustified = _due(rules.justified_percent), _due(rules.unjustified_percent)
    words = [f"absence justifiée {justified}", f"absence non justifiée {unjustified}"]
    if rules.free_absences:
        words[1] += f", sauf {rules.free_absences} par mois"
    for cents, what in ((rules.extra_cents, "sans réservation"), (rules.late_pickup_cents, "départ en retard")):
        if cents:
            words.append(f"{what} +{written(cents)}\N{NO-BREAK SPACE}€")
    return f"D'après le pointage : {' · '.join(words)}"


def _due(percent: int) -> str:
    return f"{percent}\N{NO-BREAK SPACE}% du prix" if percent else "non facturée"


def _formula(tariff: Tariff, quotient: int | None) -> tuple[Decimal, list[str]]:
    """The exact price in cents before reductions, and what to say of the quotient: nothing when it plays no part."""
    formula = tariff.formula
    if not isinstance(formula, Brackets | Proportional):
        return Decimal(formula.unit_price_cents), []
    if quotient is None:
        return Decimal(formula.without_quotient_cents), ["QF non connu : tarif prévu dans ce cas"]
    if isinstance(formula, Brackets):
        return _bracket(formula, quotient)
    rate = f"{formula.rate_percent.normalize():f}".replace(".", ",")
    why, exact = [f"taux d'effort {rate}\N{NO-BREAK SPACE}%"], quotient * formula.rate_percent / 100
    if exact < formula.floor_cents:
        return Decimal(formula.floor_cents), [*why, "tarif plancher"]
    if exact > formula.ceiling_cents:
        return Decimal(formula.ceiling_cents), [*why, "tarif plafond"]
    return exact, why


def _bracket(formula: Brackets, quotient: int) -> tuple[Decimal, list[str]]:
    below: int | None = None
    for each in formula.brackets:
        if each.up_to_cents is None or quotient <= each.up_to_cents:
            break
        below = each.up_to_cents
    if each.up_to_cents is None:
        words = "toutes tranches" if below is None else f"tranche au-dessus de {written(below)}"
    else:
        words = f"tranche jusqu'à {written(each.up_to_cents)}"
    return Decimal(each.unit_price_cents), [words]


def overlapping(wish: Tariff, others: Sequence[Tariff]) -> Tariff | None:
    """Another rule that would apply to a day that this one applies to."""
    for other in others:
        if (
            other.tariff_id != wish.tariff_id
            and other.activity_id == wish.activity_id
            and _meet(other.school, wish.school)
            and _meet(other.resident, wish.resident)
            and other.valid_from <= (wish.valid_until or date.max)
            and wish.valid_from <= (other.valid_until or date.max)
        ):
            return other
    return None


def _meet(one: object, other: object) -> bool:
    return one is None or other is None or one == other
