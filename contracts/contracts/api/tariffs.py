"""billing: the tariffs, and how a price explains itself.

A quotient is the family quotient (QF) in cents: ``84_500`` is a quotient of 845.
"""

from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from contracts.api.billing import Explanation
from contracts.model import Contract, Day, Label, PositiveCents

UnitCents = Annotated[int, Field(strict=True, ge=0, le=1_000_00)]
QuotientCents = Annotated[int, Field(strict=True, ge=0, le=1_000_000_00)]
Percent = Annotated[int, Field(strict=True, ge=0, le=100)]
PartPercent = Annotated[int, Field(strict=True, ge=1, le=99)]
ShortLabel = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]


class FlatPrice(Contract):
    """The same price for everybody."""

    kind: Literal["flat"] = "flat"
    unit_price_cents: UnitCents


class Bracket(Contract):
    """The price up to a quotient, included; the last bracket is open."""

    up_to_cents: QuotientCents | None
    unit_price_cents: UnitCents


class BracketPrices(Contract):
    """A price by bracket of quotient. Prices never fall as quotients rise."""

    kind: Literal["brackets"] = "brackets"
    brackets: tuple[Bracket, ...] = Field(min_length=1, max_length=30)
    without_quotient_cents: UnitCents

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        bounds = [each.up_to_cents for each in self.brackets]
        prices = [each.unit_price_cents for each in self.brackets]
        closed = [each for each in bounds[:-1] if each is not None]
        if bounds[-1] is not None or len(closed) != len(bounds) - 1:
            raise ValueError("the last bracket, and only the last, is open")
        if any(low >= high for low, high in pairwise(closed)):
            raise ValueError("the bounds of the brackets rise")
        if prices != sorted(prices):
            raise ValueError("prices never fall as quotients rise")
        return self


class EffortRate(Contract):
    """A share of the quotient (« taux d'effort »), between a floor and a ceiling."""

    kind: Literal["proportional"] = "proportional"
    rate_percent: Decimal = Field(gt=0, le=100, max_digits=7, decimal_places=4)
    floor_cents: UnitCents
    ceiling_cents: UnitCents
    without_quotient_cents: UnitCents

    @model_validator(mode="after")
    def _floor_below_ceiling(self) -> Self:
        if self.floor_cents > self.ceiling_cents:
            raise ValueError("the floor is not above the ceiling")
        return self


Formula = Annotated[FlatPrice | BracketPrices | EffortRate, Field(discriminator="kind")]


class AttendanceRules(Contract):
    """How attendance changes the price of a day, for a town that invoices attendance. An unmarked day costs its price.

    ``justified_percent`` and ``unjustified_percent`` of the price are charged for an absence; the first
    ``free_absences`` unjustified ones of a child in a month are free. ``extra_cents`` are added for a child without a
    booking, ``late_pickup_cents`` for a late pick-up.
    """

    justified_percent: Percent = 0
    unjustified_percent: Annotated[int, Field(strict=True, ge=0, le=200)] = 100
    free_absences: Annotated[int, Field(strict=True, ge=0, le=31)] = 0
    extra_cents: UnitCents = 0
    late_pickup_cents: UnitCents = 0


class PriceReasonKind(StrEnum):
    """What may have made a price, and the fields that go with it."""

    QUOTIENT = "quotient"
    """``cents`` of the quotient, ``since`` a day."""
    QUOTIENT_UNKNOWN = "quotient_unknown"
    EVERY_BRACKET = "every_bracket"
    BRACKET_UP_TO = "bracket_up_to"
    """``cents``, as for ``BRACKET_ABOVE``."""
    BRACKET_ABOVE = "bracket_above"
    RATE = "rate"
    """``percent`` of the quotient."""
    FLOOR = "floor"
    CEILING = "ceiling"
    RESIDENTS = "residents"
    NON_RESIDENTS = "non_residents"
    SIBLING = "sibling"
    """``percent`` less for the child of that ``rank``."""


class PriceReason(Contract):
    """A fact that determined a price, to be put into words."""

    kind: PriceReasonKind
    cents: int | None = None
    percent: Decimal | None = None
    rank: int | None = None
    since: Day | None = None


class Price(Contract):
    """The price of a day for a child of this household, with its reasons; ``attendance`` is how attendance may change
    it.

    ``explanation`` words ``rule`` and ``reasons`` in French, as an invoice does.
    """

    activity_id: UUID
    unit_price_cents: int
    rule: ShortLabel
    reasons: tuple[PriceReason, ...] = ()
    explanation: Explanation
    tariff_id: UUID | None = None
    quotient_cents: int | None = None
    quotient_from: Day | None = None
    attendance: AttendanceRules | None = None


class PriceList(Contract):
    """``GET /households/{household_id}/prices?child_id=…&day=…``: by default today's, for the eldest child."""

    prices: tuple[Price, ...]


class TariffRequest(Contract):
    """``PUT /tariffs/{tariff_id}``: the price of a day of an activity, for whom and when.

    Without ``school`` or ``resident`` it applies to all. ``sibling_percents`` are the reductions for the second child
    of the household, the third, and so on; the last one applies to all further ones. ``childcare`` makes it count for
    the tax certificate: ``childcare_cents`` or ``childcare_percent`` of a day's price when the rest is for something
    else, such as food. Without ``attendance`` a booked day costs its price whatever the attendance.
    """

    label: ShortLabel
    activity_id: UUID
    activity_label: Label
    school: Label | None = None
    resident: bool | None = None
    valid_from: Day
    valid_until: Day | None = None
    formula: Formula
    sibling_percents: tuple[Percent, ...] = Field(default=(), max_length=6)
    childcare: bool = False
    childcare_cents: PositiveCents | None = None
    childcare_percent: PartPercent | None = None
    attendance: AttendanceRules | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.valid_until and self.valid_until < self.valid_from:
            raise ValueError("a tariff ends after it begins")
        return self

    @model_validator(mode="after")
    def _has_one_part_of_childcare(self) -> Self:
        parts = [each for each in (self.childcare_cents, self.childcare_percent) if each is not None]
        if len(parts) > self.childcare:
            raise ValueError("the part of childcare is an amount or a percentage, and of a tariff for childcare")
        return self


class Tariff(TariffRequest):
    """A rule that is kept."""

    tariff_id: UUID


class TariffList(Contract):
    """``GET /tariffs``."""

    tariffs: tuple[Tariff, ...]


class QuoteDay(Contract):
    """A day somebody thinks of booking."""

    activity_id: UUID
    day: Day


class QuoteRequest(Contract):
    """``POST /households/{household_id}/quotes``: what these days of a child would cost; nothing is kept."""

    child_id: UUID
    days: tuple[QuoteDay, ...] = Field(min_length=1, max_length=500)


class QuotedDay(QuoteDay):
    """The day with its price; without one, no tariff applies to it."""

    price: Price | None


class Quote(Contract):
    """The requested days with their prices, and the sum of those that have one."""

    days: tuple[QuotedDay, ...]
    total_cents: int


class TermsRequest(Contract):
    """``PUT /households/{household_id}/terms/{day}``: the quotient and residence of a household from a day on."""

    quotient_cents: QuotientCents | None
    resident: bool = True


class Terms(TermsRequest):
    """What is known of a household from a day on."""

    valid_from: Day


class TermsKnown(Contract):
    """The terms of a household, newest first."""

    terms: tuple[Terms, ...]


class Repricing(Contract):
    """An invoice some of whose days cost less by the present terms or attendance: a credit to propose."""

    invoice_id: UUID
    number: str
    days: int
    credit_cents: int = Field(gt=0)


class HouseholdTerms(Contract):
    """``GET /households/{household_id}/terms``: newest first, and the credits they would open."""

    household_id: UUID
    name: Label
    reference: str
    terms: tuple[Terms, ...]
    repricings: tuple[Repricing, ...]
