"""Why a day costs what it does, in words: billing sends the facts, an invoice alone words them itself."""

from contracts.api.tariffs import AttendanceRules, Price, PriceReason
from contracts.api.tariffs import PriceReasonKind as K
from gateway.languages import N_, NO_BREAK, _, dotted_day, euros, number, quotient

REASONS = {
    K.QUOTIENT: N_("QF {amount} depuis le {day}"),
    K.QUOTIENT_UNKNOWN: N_("QF non connu : tarif prévu dans ce cas"),
    K.EVERY_BRACKET: N_("toutes tranches"),
    K.BRACKET_UP_TO: N_("tranche jusqu'à {amount}"),
    K.BRACKET_ABOVE: N_("tranche au-dessus de {amount}"),
    K.RATE: N_("taux d'effort {percent} %"),
    K.FLOOR: N_("tarif plancher"),
    K.CEILING: N_("tarif plafond"),
    K.RESIDENTS: N_("habitants"),
    K.NON_RESIDENTS: N_("hors commune"),
    K.SIBLING: N_("{rank}e enfant −{percent} %"),
}


def price_explanation(price: Price) -> str:
    """What the rule found of the household; empty when it asks nothing of it."""
    return " · ".join(map(_reason, price.reasons))


def _reason(reason: PriceReason) -> str:
    return _(
        REASONS[reason.kind],
        amount="" if reason.cents is None else quotient(reason.cents),
        percent="" if reason.percent is None else number(reason.percent),
        rank=reason.rank,
        day=dotted_day(reason.since) if reason.since else "",
    ).replace(" %", f"{NO_BREAK}%")


def attendance_explanation(rules: AttendanceRules) -> str:
    """What rules of attendance make of a price, for a family that thinks of booking."""
    unjustified = _("absence non justifiée {due}", due=_due(rules.unjustified_percent))
    if rules.free_absences:
        unjustified = _("{absence}, sauf {count} par mois", absence=unjustified, count=rules.free_absences)
    words = [_("absence justifiée {due}", due=_due(rules.justified_percent)), unjustified]
    if rules.extra_cents:
        words.append(_("sans réservation +{amount}", amount=euros(rules.extra_cents)))
    if rules.late_pickup_cents:
        words.append(_("départ en retard +{amount}", amount=euros(rules.late_pickup_cents)))
    return _("D'après le pointage : {rules}", rules=" · ".join(words))


def _due(percent: int) -> str:
    return _("{percent} % du prix", percent=percent).replace(" %", f"{NO_BREAK}%") if percent else _("non facturée")
