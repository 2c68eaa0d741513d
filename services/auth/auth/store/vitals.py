"""What says whether signing in is safe."""

from chassis.vitals import Vital

VITALS = (
    Vital(
        name="signing_key_age_seconds",
        says="age of the key that signs tokens",
        query="SELECT coalesce(extract(epoch FROM now() - max(signs_from)), 0) FROM signing_key "
        "WHERE retires_at IS NULL",
        most=34_560_000,
        minutes=60,
        remedy="Run `rotate-keys`: nobody is signed out.",
    ),
)
