"""A payment in plain French: what each state is called, and its story step by step."""

from dataclasses import dataclass
from datetime import datetime

from contracts.api.payment_gateway import DayAtBank, ExceptionKind, PaymentMove, PaymentTimeline, TillCommand
from contracts.api.payment_gateway import PaymentStatus as S
from gateway.pages.rendering import euros

STATES = {
    S.CREATED: "commencé",
    S.PENDING: "en attente",
    S.PROCESSING: "en cours",
    S.CONFIRMED: "confirmé",
    S.REFUSED: "refusé",
    S.CANCELLED: "annulé",
    S.EXPIRED: "expiré",
    S.FAILED: "non ouvert",
    S.REVIEW: "à vérifier",
    S.PARTIALLY_REFUNDED: "remboursé en partie",
    S.REFUNDED: "remboursé",
    S.DISPUTED: "contesté",
    S.CHARGED_BACK: "repris par la banque",
    S.REVERSED: "prélèvement rejeté",
}
_STEPS = {
    S.PENDING: "Vous êtes parti sur la page de la banque",
    S.PROCESSING: "La banque n'a pas encore de résultat définitif",
    S.CONFIRMED: "La banque a confirmé : c'est payé",
    S.REFUSED: "La banque a refusé ; rien n'a été pris",
    S.CANCELLED: "Le paiement a été abandonné ; rien n'a été pris",
    S.EXPIRED: "Le délai est passé sans paiement",
    S.FAILED: "La banque n'a pas pu ouvrir le paiement",
    S.REVIEW: "La réponse de la banque est à vérifier par la mairie",
    S.PARTIALLY_REFUNDED: "Une partie vous a été rendue",
    S.REFUNDED: "La somme vous a été rendue",
    S.DISPUTED: "Le paiement est contesté auprès de la banque",
    S.CHARGED_BACK: "La banque a repris la somme : les factures sont de nouveau à régler",
    S.REVERSED: "Le prélèvement a été rejeté : les factures sont de nouveau à régler",
}
SPEAKERS = {"bank": "la banque", "parent": "la famille", "clock": "l'horloge", "till_keeper": "la régie"}
DIFFERENCES = {
    "amount": "le montant",
    "currency": "la devise",
    "account": "le compte",
    "mode": "le mode",
    "reference": "la référence",
}
COMMANDS = {
    TillCommand.CONFIRM: ("Confirmer", "L'argent est bien là : le paiement compte pour ce que la banque a pris."),
    TillCommand.REFUND: ("Rembourser", "La somme est rendue, ou n'est pas pour nous."),
    TillCommand.DISPUTE: ("Noter une contestation", "La banque du payeur conteste le paiement."),
    TillCommand.WIN: ("Contestation gagnée", "La banque nous laisse la somme."),
    TillCommand.CHARGE_BACK: ("Contestation perdue", "La banque a repris la somme : les factures sont à régler."),
    TillCommand.REVERSE: ("Noter un rejet", "Le prélèvement est revenu impayé : les factures sont à régler."),
    TillCommand.ACKNOWLEDGE: ("Laisser en avoir", "Le trop-perçu reste au crédit de la famille."),
}
KINDS = {
    ExceptionKind.REVIEW: ("À vérifier", "La banque dit autre chose que ce qui était attendu : confirmez ou rendez."),
    ExceptionKind.DISPUTED: ("Contesté", "Répondez à la banque, puis dites comment cela a fini."),
    ExceptionKind.SURPLUS: ("Trop-perçu", "Aucune facture n'attendait cet argent : rendez-le ou laissez-le en avoir."),
    ExceptionKind.UNANSWERED: ("Sans réponse", "La banque ne répond pas : réinterrogez-la, appelez-la si cela dure."),
}


@dataclass(frozen=True)
class Step:
    """A line of the story; ``detail`` is for staff."""

    at: datetime
    text: str
    detail: str = ""


def steps(timeline: PaymentTimeline) -> list[Step]:
    """The story of a payment, oldest first, in the words of who paid."""
    begun = Step(timeline.payment.created_at, f"Vous avez demandé à payer {euros(timeline.payment.amount_cents)}")
    return _in_order(timeline, begun, [Step(move.at, _step(move)) for move in timeline.moves])


def staff_steps(timeline: PaymentTimeline) -> list[Step]:
    """The same story with who moved it, why, and where the proof is."""
    begun = Step(timeline.payment.created_at, "Demandé", "par la famille")
    return _in_order(timeline, begun, [_staff_step(move) for move in timeline.moves])


def _in_order(timeline: PaymentTimeline, begun: Step, moved: list[Step]) -> list[Step]:
    notice_at = timeline.first_notice_at
    notified = [Step(notice_at, "La banque a prévenu le portail")] if notice_at else []
    return sorted([begun, *notified, *moved], key=lambda step: step.at)  # of one instant, the notice comes first


def _staff_step(move: PaymentMove) -> Step:
    amount = f" : {euros(move.amount_cents)}" if move.amount_cents else ""
    by = f"par {move.decided_by or SPEAKERS[move.said_by]}"
    why = f". Motif : {move.reason}. Preuve : {move.evidence}" if move.decided_by else ""
    return Step(move.at, STATES[move.to_status].capitalize() + amount, by + why)


def _step(move: PaymentMove) -> str:
    if move.from_status is S.DISPUTED and move.to_status in {S.CONFIRMED, S.PARTIALLY_REFUNDED}:
        return "La contestation est close : le paiement reste valable"
    if (move.from_status, move.to_status) == (S.REVIEW, S.CONFIRMED):
        return "La mairie a vérifié : c'est payé"
    amount = f" ({euros(move.amount_cents)})" if move.amount_cents else ""
    return _STEPS[move.to_status] + amount


def balance_cents(days: tuple[DayAtBank, ...]) -> int:
    """What a day leaves in the till."""
    return sum(day.confirmed_cents - day.returned_cents for day in days)
