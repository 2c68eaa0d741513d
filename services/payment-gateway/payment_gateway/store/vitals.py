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
        name="bank_notices_refused",
        says="notifications within the last two clock hours that were forged, unreadable, or about nothing known here",
        query="SELECT coalesce(sum(seen), 0) FROM unknown_notice WHERE hour >= now() - interval '2 hours'",
        most=100,
        minutes=0,
        remedy="Somebody tries the banks' doors, or a key was changed at the bank only: `/mairie/paiements/journal`, "
        "verdict « refusée », says from where and what. Nothing was believed.",
    ),
    Vital(
        name="bank_notices_from_elsewhere",
        says="notifications of a day that were not from their bank's announced addresses, and were acted on",
        query="SELECT count(*) FROM bank_word WHERE is_elsewhere AND payment_id IS NOT NULL "
        "AND received_at > now() - interval '1 day'",
        most=0,
        minutes=5,
        remedy="Nothing was refused: a signature or a look-up decides. The bank may call from new addresses: compare "
        "the journal with its announcement, then set `sources` of the account.",
    ),
    Vital(
        name="bank_notices_signed_without_effect",
        says="notifications of a day that a bank signed and that cannot be read, or name no payment known here",
        query="SELECT coalesce(sum(seen), 0) FROM signed_notice WHERE kind <> 'unrelated' "
        "AND hour > now() - interval '1 day'",
        most=0,
        minutes=0,
        remedy="They are kept, and were answered so that they come again: `/mairie/paiements/journal`, verdicts "
        "« illisible » and « aucun paiement ». The bank may have changed what it sends, or the account its settings.",
    ),
    Vital(
        name="payments_with_an_unknown_result",
        says="payments whose bank told a result that no setting knows",
        query="SELECT count(*) FROM payment WHERE status = 'review' AND said->>'word' = 'unrecognised'",
        most=0,
        minutes=0,
        remedy="The till keeper sees the bank's own code on /mairie/paiements and decides. Where the code is a new one "
        "of PayFiP's, add it to `PAYFIP_RESULTS`: the next are understood.",
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
