"""What says whether mails go out."""

from chassis.vitals import Vital

VITALS = (
    Vital(
        name="mail_waiting_oldest_seconds",
        says="age of the oldest mail that nobody has taken",
        query="SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM mail WHERE status = 'waiting'",
        most=3_600,
        minutes=15,
        remedy="The mail server refuses or is away: its answers are on /mairie/courrier. Mails leave by themselves.",
    ),
    Vital(
        name="mails_failed",
        says="mails given up in the last day",
        query="SELECT count(*) FROM mail WHERE status = 'failed' AND created_at > now() - interval '1 day'",
        most=20,
        minutes=60,
        remedy="Read the answers on /mairie/courrier, mend the cause, and send them again there.",
    ),
)
