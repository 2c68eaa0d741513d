"""Access codes people can read from a letter and type on a phone: no O and 0, no I, L and 1."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from uuid import UUID

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
IDENTIFIER_LENGTH = 8
SECRET_GROUPS = 3
SECRET_GROUP_LENGTH = 4

Choose = Callable[[Sequence[str]], str]


def draw_identifier(choose: Choose) -> str:
    """An identifier such as ``k7mqx2pd``."""
    return "".join(choose(ALPHABET) for _ in range(IDENTIFIER_LENGTH))


def draw_secret(choose: Choose) -> str:
    """A secret such as ``h4tn-8wkc-qz3m``: 59 bits."""
    groups = ("".join(choose(ALPHABET) for _ in range(SECRET_GROUP_LENGTH)) for _ in range(SECRET_GROUPS))
    return "-".join(groups)


def typed(secret: str) -> str:
    """A letter's secret however it was typed: capitals, spaces and missing hyphens do not matter."""
    return "".join(sign for sign in secret.lower() if sign.isalnum())


def typed_identifier(identifier: str) -> str:
    """An identifier however it was typed or copied: capitals and spaces do not matter."""
    return "".join(identifier.lower().split())


def draw_recovery_codes(choose: Choose, count: int = 10) -> list[str]:
    """Codes such as ``h4tn-8wkc`` for the day the telephone is lost."""
    return ["-".join("".join(choose(ALPHABET) for _ in range(4)) for _ in range(2)) for _ in range(count)]


def recovery_hash(key: bytes, account_id: UUID, plain: bytes) -> bytes:
    """What is kept of a recovery code, made of its SHA-256: 40 random bits are few for whoever has a copy of the
    database, so that they are kept under a key that is not in it, each account's apart.
    """
    return hmac.new(key, account_id.bytes + plain, hashlib.sha256).digest()
