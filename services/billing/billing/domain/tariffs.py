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

from contracts.api.tariffs import BracketPrices, EffortRate, Price, PriceReason, Tariff, Terms
from contracts.api.tariffs import PriceReasonKind as K
from contracts.names import name_key

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
                and (tariff.school is None or _is_school(tariff.school, child.school))
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
    reasons = list(why)
    if why and quotient is not None and terms is not None:
        reasons.insert(0, PriceReason(kind=K.QUOTIENT, cents=quotient, since=terms.valid_from))
    if tariff.resident is not None:
        reasons.append(PriceReason(kind=K.RESIDENTS if tariff.resident else K.NON_RESIDENTS))
    if rank > 1 and tariff.sibling_percents:
        percent = tariff.sibling_percents[min(rank - 2, len(tariff.sibling_percents) - 1)]
        if percent:
            exact = exact * (100 - percent) / 100
            reasons.append(PriceReason(kind=K.SIBLING, rank=rank, percent=Decimal(percent)))
    return Price(
        activity_id=tariff.activity_id,
        unit_price_cents=rounded(exact),
        rule=tariff.label,
        reasons=tuple(reasons),
        explanation=" · ".join((tariff.label, *map(in_french, reasons))),
        tariff_id=tariff.tariff_id,
        quotient_cents=quotient if why else None,
        quotient_from=terms.valid_from if why and terms and quotient is not None else None,
        attendance=tariff.attendance,
    )


FRENCH = {
    K.QUOTIENT: "QF {cents} depuis le {since}",
    K.QUOTIENT_UNKNOWN: "QF non connu : tarif prévu dans ce cas",
    K.EVERY_BRACKET: "toutes tranches",
    K.BRACKET_UP_TO: "tranche jusqu'à {cents}",
    K.BRACKET_ABOVE: "tranche au-dessus de {cents}",
    K.RATE: "taux d'effort {percent}\N{NO-BREAK SPACE}%",
    K.FLOOR: "tarif plancher",
    K.CEILING: "tarif plafond",
    K.RESIDENTS: "habitants",
    K.NON_RESIDENTS: "hors commune",
    K.SIBLING: "{rank}e enfant −{percent}\N{NO-BREAK SPACE}%",
}


def in_french(reason: PriceReason) -> str:
    """A reason in the words of an invoice, which are the same in every language a family reads."""
    return FRENCH[reason.kind].format(
        cents=None if reason.cents is None else written(reason.cents),
        percent=None if reason.percent is None else f"{reason.percent.normalize():f}".replace(".", ","),
        rank=reason.rank,
        since=reason.since and f"{reason.since:%d/%m/%Y}",
    )


def _formula(tariff: Tariff, quotient: int | None) -> tuple[Decimal, list[PriceReason]]:
    """The exact price in cents before reductions, and what to say of the quotient: nothing when it plays no part."""
    formula = tariff.formula
    if not isinstance(formula, BracketPrices | EffortRate):
        return Decimal(formula.unit_price_cents), []
    if quotient is None:
        return Decimal(formula.without_quotient_cents), [PriceReason(kind=K.QUOTIENT_UNKNOWN)]
    if isinstance(formula, BracketPrices):
        return _bracket(formula, quotient)
    why, exact = [PriceReason(kind=K.RATE, percent=formula.rate_percent)], quotient * formula.rate_percent / 100
    if exact < formula.floor_cents:
        return Decimal(formula.floor_cents), [*why, PriceReason(kind=K.FLOOR)]
    if exact > formula.ceiling_cents:
        return Decimal(formula.ceiling_cents), [*why, PriceReason(kind=K.CEILING)]
    return exact, why


def _bracket(formula: BracketPrices, quotient: int) -> tuple[Decimal, list[PriceReason]]:
    below: int | None = None
    for each in formula.brackets:
        if each.up_to_cents is None or quotient <= each.up_to_cents:
            break
        below = each.up_to_cents
    if each.up_to_cents is not None:
        reason = PriceReason(kind=K.BRACKET_UP_TO, cents=each.up_to_cents)
    elif below is not None:
        reason = PriceReason(kind=K.BRACKET_ABOVE, cents=below)
    else:
        reason = PriceReason(kind=K.EVERY_BRACKET)
    return Decimal(each.unit_price_cents), [reason]


def overlapping(request: Tariff, others: Sequence[Tariff]) -> Tariff | None:
    """Another rule that would apply to a day that this one applies to."""
    for other in others:
        if (
            other.tariff_id != request.tariff_id
            and other.activity_id == request.activity_id
            and (other.school is None or request.school is None or _is_school(other.school, request.school))
            and _meet(other.resident, request.resident)
            and other.valid_from <= (request.valid_until or date.max)
            and request.valid_from <= (other.valid_until or date.max)
        ):
            return other
    return None


def _is_school(one: str, other: str | None) -> bool:
    return other is not None and name_key(one) == name_key(other)


def _meet(one: object, other: object) -> bool:
    return one is None or other is None or one == other
