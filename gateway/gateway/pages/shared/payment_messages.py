"""A payment in plain words: what each state is called, and its story step by step."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from contracts.api.notifier import MailStatus, PaymentMail
from contracts.api.payment_gateway import (
    Actor,
    BankDay,
    DecisionKind,
    IssueKind,
    PaymentTimeline,
    PaymentTransition,
    RemittanceKind,
    RemittedLine,
    SignedNotificationKind,
    StatementSource,
    Verification,
)
from contracts.api.payment_gateway import PaymentStatus as S
from contracts.api.remittances import DifferenceKind
from contracts.events.payment import Means
from gateway.languages import N_, _, euros

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
    S.PENDING: N_("Vous avez ouvert la page de la banque"),
    S.PROCESSING: N_("La banque n'a pas encore de résultat définitif"),
    S.CONFIRMED: N_("La banque a confirmé : c'est payé"),
    S.REFUSED: N_("La banque a refusé le paiement ; rien n'a été prélevé"),
    S.CANCELLED: N_("Le paiement a été abandonné ; rien n'a été prélevé"),
    S.EXPIRED: N_("Le délai de paiement est dépassé"),
    S.FAILED: N_("La banque n'a pas pu ouvrir le paiement"),
    S.REVIEW: N_("La réponse de la banque est à vérifier par la mairie"),
    S.PARTIALLY_REFUNDED: N_("Une partie vous a été rendue"),
    S.REFUNDED: N_("La somme vous a été rendue"),
    S.DISPUTED: N_("Le paiement est contesté auprès de la banque"),
    S.CHARGED_BACK: N_("La banque a repris la somme : les factures sont de nouveau à régler"),
    S.REVERSED: N_("Le prélèvement a été rejeté : les factures sont de nouveau à régler"),
}
PUBLISHERS = {"bank": "la banque", "parent": "la famille", "clock": "l'horloge", "till_keeper": "la régie"}
DIFFERENCES = {
    "amount": "le montant",
    "currency": "la devise",
    "account": "le compte",
    "mode": "le mode",
    "reference": "la référence",
    "result": "le résultat",
}
MEANS = {Means.CARD: "Carte bancaire", Means.DEBIT: "Prélèvement", Means.TRANSFER: "Virement"}
COMMANDS = {
    DecisionKind.CONFIRM: ("Confirmer", "L'argent est bien là : le paiement compte pour ce que la banque a pris."),
    DecisionKind.REFUSE: ("Rien n'a été prélevé", "La banque n'a pas pris l'argent : les factures restent à régler."),
    DecisionKind.SEEN: ("Vérifié", "Ce que dit la banque est expliqué : rien ne change ici."),
    DecisionKind.REFUND: ("Rembourser", "La somme est rendue, ou n'est pas pour nous."),
    DecisionKind.DISPUTE: ("Noter une contestation", "La banque du payeur conteste le paiement."),
    DecisionKind.WIN: ("Contestation gagnée", "La banque nous laisse la somme."),
    DecisionKind.CHARGE_BACK: ("Contestation perdue", "La banque a repris la somme, ou la part dite ci-dessous."),
    DecisionKind.REVERSE: ("Noter un rejet", "Le prélèvement est revenu impayé : les factures sont à régler."),
    DecisionKind.ACKNOWLEDGE: ("Laisser en avoir", "Le trop-perçu reste au crédit de la famille."),
    DecisionKind.REMADE: (
        "Rendu autrement",
        "La famille a eu son argent par virement ou en espèces : rien ne change ici.",
    ),
    DecisionKind.UNDO_REFUND: (
        "Annuler le remboursement",
        "L'argent est resté à la mairie : il règle de nouveau les factures. Vous pourrez rembourser à nouveau.",
    ),
}
KINDS = {
    IssueKind.REVIEW: (
        "À vérifier",
        "La réponse de la banque n'est pas celle qui était attendue : vérifiez, puis décidez.",
    ),
    IssueKind.DISPUTED: (
        "Contesté",
        "Répondez à la banque, puis dites comment cela a fini ; perdu pour une part seulement, dites laquelle.",
    ),
    IssueKind.SURPLUS: ("Trop-perçu", "Aucune facture n'attendait cet argent : rendez-le ou laissez-le en avoir."),
    IssueKind.REFUND_FAILED: (
        "Remboursement échoué",
        "La banque n'a pas pu rendre l'argent, il est revenu : rendez-le autrement, ou annulez le remboursement.",
    ),
    IssueKind.CONTRADICTED: (
        "La banque dit autre chose",
        "La banque a remboursé ou repris une somme qui compte encore ici : vérifiez dans son espace, puis notez-le.",
    ),
    IssueKind.UNANSWERED: ("Sans réponse", "La banque ne répond pas : réinterrogez-la, appelez-la si cela dure."),
}
VERDICTS = {
    Verification.HINT: "notification sans signature",
    Verification.VERIFIED: "notification signée",
    Verification.FORGED: "refusée : pas de la banque",
    Verification.UNKNOWN: "aucun paiement de ce nom",
    Verification.UNREADABLE: "signée par la banque, mais illisible",
    Verification.ANSWER: "réponse à notre question",
}
SIGNED_NOTICES = {
    SignedNotificationKind.UNKNOWN: "paiement inconnu ici",
    SignedNotificationKind.UNREADABLE: "message illisible",
}
GAPS = {
    DifferenceKind.MISSING: (
        "Confirmé ici, pas dans les relevés",
        "Envoyez le relevé suivant ; s'il n'y est pas non plus, demandez à la banque où est l'argent.",
    ),
    DifferenceKind.UNKNOWN: (
        "Dans le relevé, inconnu du portail",
        "Cherchez la référence chez la banque : si ce n'est pas pour le portail, dites-le ci-dessous.",
    ),
    DifferenceKind.UNCONFIRMED: (
        "Versé par la banque, pas confirmé ici",
        "Ouvrez le paiement : « Réinterroger la banque », ou décidez s'il est à vérifier.",
    ),
    DifferenceKind.AMOUNT: (
        "Le montant n'est pas le même",
        "Comparez avec le ticket du paiement ; si la banque s'est trompée, signalez-le-lui.",
    ),
    DifferenceKind.TWICE: (
        "Versé deux fois",
        "La famille a peut-être été débitée deux fois : vérifiez chez la banque, et rendez ce qui est en trop.",
    ),
    DifferenceKind.TAKEN_BACK: (
        "Repris par la banque, pas noté ici",
        "Ouvrez le paiement et notez-y le remboursement, la contestation ou le rejet.",
    ),
}
SOURCES = {
    StatementSource.BANK: ("la banque", "relevé de la banque"),
    StatementSource.TREASURY: ("le Trésor", "relevé du Trésor"),
}
GAPS_AT_TREASURY = {
    **GAPS,
    DifferenceKind.MISSING: (
        "Confirmé ici, pas arrivé au Trésor",
        "Regardez si la banque l'a versé : sinon, demandez-le-lui ; si oui, montrez son relevé au Trésor.",
    ),
    DifferenceKind.UNKNOWN: (
        "Au Trésor, inconnu du portail",
        "Ni un paiement, ni la somme d'un jour de la banque : cherchez d'où vient cet argent, dites-le ci-dessous.",
    ),
    DifferenceKind.UNCONFIRMED: (
        "Arrivé au Trésor, pas confirmé ici",
        "Ouvrez le paiement : « Réinterroger la banque », ou décidez s'il est à vérifier.",
    ),
    DifferenceKind.TWICE: (
        "Arrivé deux fois au Trésor",
        "Comparez avec le relevé de la banque : la famille a peut-être payé deux fois, rendez ce qui est en trop.",
    ),
    DifferenceKind.TAKEN_BACK: (
        "Débité au Trésor, pas noté ici",
        "Ouvrez le paiement et notez-y le remboursement, la contestation ou le rejet.",
    ),
}
_MAILED = {
    MailStatus.SENT: N_("Votre ticket a été envoyé par email"),
    MailStatus.FAILED: N_("Votre ticket n'a pas pu être envoyé par email : téléchargez-le ici"),
    MailStatus.BOUNCED: N_("L'email n'est pas arrivé : vérifiez votre adresse, et téléchargez le ticket ici"),
}
_MAILED_STAFF = {
    MailStatus.WAITING: "Email en attente",
    MailStatus.SENT: "Email parti",
    MailStatus.FAILED: "Email refusé",
    MailStatus.BOUNCED: "Email revenu",
}
TICKET = "ticket"


@dataclass(frozen=True)
class Step:
    """A line of the story; ``detail`` is for staff."""

    at: datetime
    text: str
    detail: str = ""


def steps(timeline: PaymentTimeline, mails: Iterable[PaymentMail] = ()) -> list[Step]:
    """The story of a payment, oldest first, in the words of who paid."""
    begun = Step(
        timeline.payment.created_at,
        _("Vous avez demandé à payer {amount}", amount=euros(timeline.payment.amount_cents)),
    )
    moved = [Step(move.at, _step(move)) for move in timeline.moves]
    settled = [
        Step(each.settled_at, _("Votre facture {number} est soldée", number=each.number)) for each in timeline.settled
    ]
    mailed = [
        Step(each.sent_at or each.created_at, _(_MAILED[each.status]))
        for each in mails
        if each.kind == TICKET and each.status in _MAILED
    ]
    return _in_order(timeline, [begun], moved, settled, mailed)


def staff_steps(timeline: PaymentTimeline, mails: Iterable[PaymentMail] = ()) -> list[Step]:
    """The same story with who moved it, why, and where the proof is."""
    begun = Step(timeline.payment.created_at, "Demandé", "par la famille")
    moved = [_staff_step(move) for move in timeline.moves]
    settled = [
        Step(each.settled_at, f"Facture {each.number} soldée", "par la facturation") for each in timeline.settled
    ]
    mailed = [
        Step(each.sent_at or each.created_at, f"{_MAILED_STAFF[each.status]} ({each.kind})", _mail_proof(each))
        for each in mails
    ]
    return _in_order(timeline, [begun], moved, settled, mailed, [_remitted(each) for each in timeline.remitted])


def _mail_proof(mail: PaymentMail) -> str:
    said = f". Réponse du serveur : {mail.answer}" if mail.answer else ""
    return f"à {mail.recipient}{said}" if mail.recipient else ""


def _remitted(line: RemittedLine) -> Step:
    """The bank's own word that the money came; the day is the bank's, the instant that of the file."""
    what = "Versé" if line.kind is RemittanceKind.TAKEN else "Repris"
    if line.source is StatementSource.TREASURY:
        what = "Arrivé au Trésor" if line.kind is RemittanceKind.TAKEN else "Débité au Trésor"
        text = f"{what} le {line.day:%d-%m-%Y} : {euros(line.amount_cents)}"
    else:
        text = f"{what} par la banque le {line.day:%d-%m-%Y} : {euros(line.amount_cents)}"
    return Step(line.imported_at, text, f"relevé « {line.file_name} », ligne {line.line}")


def _in_order(timeline: PaymentTimeline, *error: list[Step]) -> list[Step]:
    notice_at = timeline.first_notice_at
    notified = [Step(notice_at, _("La banque a prévenu le portail"))] if notice_at else []
    begun, *rest = error
    found = [*begun, *notified, *(step for each in rest for step in each)]
    return sorted(found, key=lambda step: step.at)  # of one instant, the notice comes first


def is_complete(timeline: PaymentTimeline, mails: Iterable[PaymentMail]) -> bool:
    """Whether a confirmed payment's invoices are settled and its ticket went, or never will."""
    return bool(timeline.settled) and any(each.kind == TICKET and each.status in _MAILED for each in mails)


def _staff_step(move: PaymentTransition) -> Step:
    amount = f" : {euros(move.amount_cents)}" if move.amount_cents else ""
    amount += f" (remboursement échoué : {euros(move.undone_cents)})" if move.undone_cents else ""
    by = f"par {move.decided_by or PUBLISHERS[move.said_by]}"
    why = f". Motif : {move.reason}. Preuve : {move.evidence}" if move.decided_by else ""
    return Step(move.at, STATES[move.to_status].capitalize() + amount, by + why)


def _step(move: PaymentTransition) -> str:
    if (
        move.from_status is S.DISPUTED
        and move.to_status in {S.CONFIRMED, S.PARTIALLY_REFUNDED}
        and not move.amount_cents
    ):
        return _("La contestation est close : le paiement reste valable")
    if move.undone_cents:
        return _(
            "Un remboursement n'a pas abouti : {amount} sont de nouveau comptés comme payés",
            amount=euros(move.undone_cents),
        )
    is_checked = move.said_by is Actor.CASHIER or move.from_status is S.REVIEW
    if is_checked and move.to_status is S.CONFIRMED:
        return _("La mairie a vérifié : c'est payé")
    if is_checked and move.to_status is S.REFUSED:
        return _("La mairie a vérifié : rien n'a été prélevé")
    amount = f" ({euros(move.amount_cents)})" if move.amount_cents else ""
    return _(_STEPS[move.to_status]) + amount


def balance_cents(days: tuple[BankDay, ...]) -> int:
    """What a day leaves in the till."""
    return sum(day.confirmed_cents - day.returned_cents for day in days)
