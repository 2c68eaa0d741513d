"""What the cash desk is asked before money moves for good: the household, the amount, and what is left of it."""

from contracts.api.billing import CreditNoteRequest, InvoiceSummary
from contracts.api.cash_desk import ReceiptRequest, RefundRequest
from contracts.api.payment_gateway import DecisionKind, PaymentDecision, PaymentFile
from contracts.api.tariffs import HouseholdTerms, Repricing, Tariff
from gateway.languages import euros, short_day
from gateway.pages.shared.confirmation import Question
from gateway.pages.shared.payment_messages import COMMANDS

MEANS = {
    "card": "Carte bancaire",
    "debit": "Prélèvement",
    "cash": "Espèces",
    "cheque": "Chèque",
    "transfer": "Virement",
}
COUNTER = ("cash", "cheque", "transfer")
FOR_GOOD = "Un avoir publié ne change plus et ne se retire pas. La famille est prévenue."


def receipt(household: HouseholdTerms, body: ReceiptRequest, due_cents: int) -> Question:
    """« Encaisser 42,50 € ? »"""
    amount, left = euros(body.amount_cents), due_cents - body.amount_cents
    says = [
        f"{household.name} ({household.reference}) : {amount}, {MEANS[body.means].lower()}, le "
        f"{short_day(body.received_on)}.",
        f"Ce foyer doit {euros(due_cents)} : il restera {euros(left)} à régler."
        if left >= 0
        else f"Ce foyer doit {euros(due_cents)} : {euros(-left)} de trop.",
        "Un encaissement ne change plus une fois enregistré.",
    ]
    numbers = {"amount_cents": body.amount_cents, "due_cents": due_cents}
    return Question(f"Encaisser {amount} ?", says, f"Encaisser {amount}", _account(household), numbers)


def refund(household: HouseholdTerms, body: RefundRequest, credit_cents: int) -> Question:
    """« Rembourser 12,00 € ? »"""
    amount = euros(body.amount_cents)
    says = (
        f"{household.name} ({household.reference}) : {amount}, {MEANS[body.means].lower()}, {body.reference}.",
        f"Le crédit de ce foyer est de {euros(credit_cents)}.",
        "Un remboursement ne change plus une fois enregistré.",
    )
    numbers = {"amount_cents": body.amount_cents, "credit_cents": credit_cents}
    return Question(f"Rembourser {amount} ?", says, f"Rembourser {amount}", _account(household), numbers)


def credit_note(household: HouseholdTerms, invoice: InvoiceSummary, body: CreditNoteRequest, cents: int) -> Question:
    """« Publier un avoir de 3,00 € ? », of an amount or of days."""
    days = f", pour {len(body.days)} jour{'s' if len(body.days) > 1 else ''}" if body.days else ""
    what = f"{household.name} : {euros(cents)} sur la facture n° {invoice.number}{days}."
    return _publish(household, (what, f"« {body.reason} »", FOR_GOOD), {"credit_cents": cents, "days": len(body.days)})


def repricing(household: HouseholdTerms, proposed: Repricing) -> Question:
    """« Publier un avoir de 14,00 € ? », of days that cost less by what is known now."""
    days = f"{proposed.days} jour{'s' if proposed.days > 1 else ''}"
    says = (
        f"{household.name} : {euros(proposed.credit_cents)} sur la facture n° {proposed.number}, pour {days} qui "
        "coûtent moins avec ce qui est connu aujourd'hui.",
        FOR_GOOD,
    )
    return _publish(household, says, {"credit_cents": proposed.credit_cents, "days": proposed.days})


def _publish(household: HouseholdTerms, says: tuple[str, ...], numbers: dict[str, int]) -> Question:
    amount = euros(numbers["credit_cents"])
    title, button = f"Publier un avoir de {amount} ?", f"Publier l'avoir de {amount}"
    return Question(title, says, button, _account(household), numbers)


def _account(household: HouseholdTerms) -> str:
    return f"/mairie/encaissements/{household.household_id}"


def decision(file: PaymentFile, body: PaymentDecision) -> Question:
    """« Rembourser : 12,00 € ? », with what the decision does, and to which payment."""
    payment = file.timeline.payment
    left = (file.taken_cents if file.taken_cents is not None else payment.amount_cents) - payment.refunded_cents
    cents = body.amount_cents if body.amount_cents is not None else left
    name, does = COMMANDS[body.command]
    says = [f"{file.household_name} : paiement {file.reference} de {euros(payment.amount_cents)}.", does]
    if body.command is DecisionKind.REFUND and file.bank_refunds and payment.status != "review":
        says.append("La banque rembourse aussitôt, et ce remboursement est définitif.")
    says.append("La décision est gardée avec votre nom et ne s'efface pas.")
    title, back = f"{name} : {euros(cents)} ?", f"/mairie/paiements/{payment.payment_id}"
    return Question(title, says, f"{name} : {euros(cents)}", back, {"cents": cents, "left_cents": left})


def tariff_removal(tariff: Tariff) -> Question:
    """« Supprimer le tarif « Repas » ? »"""
    until = f" au {short_day(tariff.valid_until)}" if tariff.valid_until else ""
    says = (
        f"{tariff.activity_label}, du {short_day(tariff.valid_from)}{until}.",
        "La suppression d'un tarif est définitive. Sans tarif, ces jours ne peuvent pas être facturés.",
    )
    return Question(f"Supprimer le tarif « {tariff.label} » ?", says, "Supprimer ce tarif", "/mairie/tarifs")
