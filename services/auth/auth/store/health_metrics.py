"""What says whether signing in is safe."""

from chassis.health_metrics import HealthMetric

HEALTH_METRICS = (
    HealthMetric(
        name="signing_key_age_seconds",
        description="age of the key that signs tokens",
        query="SELECT coalesce(extract(epoch FROM now() - max(signs_from)), 0) FROM signing_key "
        "WHERE retires_at IS NULL",
        threshold=34_560_000,
        for_minutes=60,
        remedy="Run `rotate-keys`: nobody is signed out.",
    ),
)
