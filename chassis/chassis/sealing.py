"""A secret that must be read again later, encrypted wherever it is kept meanwhile."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr

from contracts.failures import Unavailable


class Seal:
    """Encrypts and authenticates (Fernet) under a key derived from a secret of the settings, called ``name`` there."""

    def __init__(self, secret: SecretStr, name: str) -> None:
        digest = hashlib.sha256(secret.get_secret_value().encode()).digest()
        self._cipher, self._name = Fernet(base64.urlsafe_b64encode(digest)), name

    def seal(self, secret: bytes) -> bytes:
        """Printable bytes that tell nothing, another each time."""
        return self._cipher.encrypt(secret)

    def open(self, sealed: bytes) -> bytes:
        """What was sealed; ``Unavailable`` for other bytes, or when the secret has changed since."""
        try:
            return self._cipher.decrypt(sealed)
        except InvalidToken:
            raise Unavailable(f"this was kept under another {self._name}") from None
