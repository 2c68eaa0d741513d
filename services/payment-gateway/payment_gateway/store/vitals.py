"""What says whether payments are well."""

from chassis.vitals import Vital

VITALS = (
    Vital(
        name="payment_unconfirmed_oldest_seconds",
        says="age of the oldest payment without a result",
        query="SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM payment "
        "WHERE status IN ('created', 'pending', 'processing')",
        most=14_400,
        minutes=15,
        remedy="The bank does not answer: read the journal of the payment, then call the bank. Do not refund yet.",
    ),
    Vital(
        name="payments_in_review",
        says="payments that the till keeper has to decide",
        query="SELECT count(*) FROM payment WHERE status = 'review'",
        most=0,
        minutes=1440,
        remedy="The till keeper decides on /mairie/paiements; their invoices wait meanwhile.",
    ),
)
