"""What says whether payments are well."""

from chassis.health_metrics import HealthMetric

HEALTH_METRICS = (
    HealthMetric(
        name="payment_unconfirmed_oldest_seconds",
        description="age of the oldest payment without a result",
        query="SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM payment "
        "WHERE status IN ('created', 'pending', 'processing')",
        threshold=14_400,
        for_minutes=15,
        remedy="The bank does not answer: read the journal of the payment, then call the bank. Do not refund yet.",
    ),
    HealthMetric(
        name="bank_notices_refused",
        description="notifications of the last two clock hours that were forged, unreadable or of an unknown payment",
        query="SELECT coalesce(sum(seen), 0) FROM unknown_notice WHERE hour >= now() - interval '2 hours'",
        threshold=100,
        for_minutes=0,
        remedy="Somebody tries the banks' doors, or a key was changed at the bank only: `/mairie/paiements/journal`, "
        "verdict « refusée », says from where and what. Nothing was believed.",
    ),
    HealthMetric(
        name="bank_notices_from_elsewhere",
        description="notifications of a day that were not from their bank's announced addresses, and were acted on",
        query="SELECT count(*) FROM bank_word WHERE is_elsewhere AND payment_id IS NOT NULL "
        "AND received_at > now() - interval '1 day'",
        threshold=0,
        for_minutes=5,
        remedy="Nothing was refused: a signature or a look-up decides. The bank may call from new addresses: compare "
        "the journal with its announcement, then set `sources` of the account.",
    ),
    HealthMetric(
        name="bank_notices_signed_without_effect",
        description="notifications of a day that a bank signed and that cannot be read, or name no payment known here",
        query="SELECT coalesce(sum(seen), 0) FROM signed_notice WHERE kind <> 'unrelated' "
        "AND hour > now() - interval '1 day'",
        threshold=0,
        for_minutes=0,
        remedy="They are kept, and were answered so that they come again: `/mairie/paiements/journal`, verdicts "
        "« illisible » and « aucun paiement ». The bank may have changed what it sends, or the account its settings.",
    ),
    HealthMetric(
        name="payments_with_an_unknown_result",
        description="payments whose bank told a result that no setting knows",
        query="SELECT count(*) FROM payment WHERE status = 'review' AND said->>'word' = 'unrecognised'",
        threshold=0,
        for_minutes=0,
        remedy="The till keeper sees the bank's own code on /mairie/paiements and decides. Where the code is a new one "
        "of PayFiP's, add it to `PAYFIP_RESULTS`: the next are understood.",
    ),
    HealthMetric(
        name="payments_in_review",
        description="payments that the till keeper has to decide",
        query="SELECT count(*) FROM payment WHERE status = 'review'",
        threshold=0,
        for_minutes=1440,
        remedy="The till keeper decides on /mairie/paiements; their invoices wait meanwhile.",
    ),
)
