"""What says whether mails go out."""

from chassis.health_metrics import HealthMetric

HEALTH_METRICS = (
    HealthMetric(
        name="mail_waiting_oldest_seconds",
        description="age of the oldest mail that nobody has taken",
        query="SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM mail WHERE status = 'waiting'",
        threshold=3_600,
        for_minutes=15,
        remedy="The mail server refuses or is away: its answers are on /mairie/courrier. Mails leave by themselves.",
    ),
    HealthMetric(
        name="mails_failed",
        description="mails given up in the last day",
        query="SELECT count(*) FROM mail WHERE status = 'failed' AND created_at > now() - interval '1 day'",
        threshold=20,
        for_minutes=60,
        remedy="Read the answers on /mairie/courrier, mend the cause, and send them again there.",
    ),
)
