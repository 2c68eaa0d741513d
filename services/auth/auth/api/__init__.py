"""auth's doors."""

from auth.api import account, families, first_time, households, letters, resets, schools, sessions
from auth.api.keys import OWN_KEYS, OwnKeys, use_own_keys
from auth.api.secrets import HASHER, Hasher

ROUTES = (
    *sessions.routes,
    *first_time.routes,
    *resets.routes,
    *account.routes,
    *households.routes,
    *letters.routes,
    *families.routes,
    *schools.routes,
)

__all__ = ["HASHER", "OWN_KEYS", "ROUTES", "Hasher", "OwnKeys", "use_own_keys"]
