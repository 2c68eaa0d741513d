"""auth's doors."""

from auth.api import households, sessions
from auth.api.keys import OWN_KEYS, OwnKeys, use_own_keys
from auth.api.secrets import HASHER, Hasher

ROUTES = (*sessions.routes, *households.routes)

__all__ = ["HASHER", "OWN_KEYS", "ROUTES", "Hasher", "OwnKeys", "use_own_keys"]
