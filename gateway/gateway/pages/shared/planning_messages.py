"""What planning says, in words: a cell's state, why a day was refused, the channel of a change, the days off."""

from typing import Any

from contracts.api.bookings import LineOutcome, LineRefusal
from contracts.api.months import CellState
from contracts.events.planning import Channel
from gateway.languages import N_, _, deadline

CHANNELS = {
    Channel.INTERNET: N_("par internet"),
    Channel.TOWN_HALL: N_("par la mairie"),
    Channel.IMPORT: N_("import"),
    Channel.AUTOMATIC: N_("automatique"),
    Channel.WAITING_LIST: N_("liste d'attente"),
}
REFUSALS = {
    LineRefusal.CLOSED: N_("jour fermé"),
    LineRefusal.PAST_DEADLINE: N_("délai dépassé"),
    LineRefusal.NOT_YET_OPEN: N_("les réservations ne sont pas encore ouvertes"),
    LineRefusal.FULL: N_("complet"),
    LineRefusal.NOT_ENROLLED: N_("votre enfant n'est pas inscrit à cette activité"),
    LineRefusal.NOT_OFFERED: N_("l'activité n'a pas lieu ce jour-là"),
    LineRefusal.CHANGED_ELSEWHERE: N_("ce jour a été changé entre-temps, depuis un autre écran"),
    LineRefusal.OTHER_HOUSEHOLD: N_("jour de garde de l'autre foyer"),
    LineRefusal.NOT_FOR_ALL: N_("pas possible pour tous les enfants choisis"),
    LineRefusal.OFFER_OVER: N_("la place n'est plus proposée, elle va à la famille suivante"),
}
DAYS_OFF = {
    N_("Vacances de la Toussaint"),
    N_("Vacances de Noël"),
    N_("Vacances d'hiver"),
    N_("Vacances de printemps"),
    N_("Vacances d'été"),
    N_("Pont de l'Ascension"),
    N_("Jour de l'an"),
    N_("Vendredi saint"),
    N_("Lundi de Pâques"),
    N_("Fête du Travail"),
    N_("Fête de la Victoire"),
    N_("Ascension"),
    N_("Lundi de Pentecôte"),
    N_("Fête nationale"),
    N_("Assomption"),
    N_("Toussaint"),
    N_("Armistice"),
    N_("Noël"),
    N_("Saint-Étienne"),
    N_("Abolition de l'esclavage"),
    N_("Arrivée de l'Évangile"),
    N_("Fête de Victor Schoelcher"),
    N_("Fête de l'autonomie"),
    N_("Fête de la Citoyenneté"),
    N_("Fête du Territoire"),
    N_("Matāri'i"),
    N_("Mi-Carême"),
    N_("Saint Pierre Chanel"),
    N_("Saints Pierre et Paul"),
}
"""The names of school and public holidays, as the published calendars write them."""


def day_off_name(text: str | None) -> str:
    """The name of a holiday in the page's language; what the town hall wrote of a closure, as it wrote it."""
    names = (text or "").split("; ")  # two on one day
    return "; ".join(map(_, names)) if set(names) <= DAYS_OFF else text or ""


def cell_messages() -> dict[str, Any]:
    """The words that the cells of a month share, found once a page."""
    return {
        CellState.FREE: _("Libre"),
        CellState.BOOKED: _("Inscrit"),
        CellState.FULL: _("Complet"),
        CellState.CLOSED: _("Fermé"),
        CellState.OTHER_HOUSEHOLD: _("Autre foyer"),
        "offered": _("Place proposée"),
        "shut": {
            CellState.FREE: _("Non inscrit"),
            CellState.BOOKED: _("✓ Inscrit"),
            CellState.FULL: _("Complet"),
            CellState.WAITING: _("Non inscrit"),
        },
        "changes": "|".join((_("Libre"), _("Ajouté"), _("Inscrit"), _("Retiré"))),
        "list": _("Liste d'attente"),
        "left": _("Liste quittée"),
        "waiting": _("liste d'attente"),
        "tick": _("cocher : liste d'attente"),
        "colon": _(" : "),
    }


def refusal_message(line: LineOutcome) -> str:
    """Why a day was refused, and until or from when it could be changed."""
    said = _(REFUSALS[line.refusal]) if line.refusal else ""
    if line.reason:
        said = _("{why} ({reason})", why=said, reason=day_off_name(line.reason))
    if line.until is None:
        return said
    if line.refusal is LineRefusal.NOT_YET_OPEN:
        return _("{why}, ouverture le {deadline}", why=said, deadline=deadline(line.until))
    return _("{why}, modifiable jusqu'au {deadline}", why=said, deadline=deadline(line.until))
