"""Encryption of secrets that are stored or sent and must be read again."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr

from contracts.failures import Unavailable


class Encryption:
    """Authenticated encryption (Fernet) under a key derived from the setting ``name``."""

    def __init__(self, secret: SecretStr, name: str) -> None:
        digest = hashlib.sha256(secret.get_secret_value().encode()).digest()
        self._cipher, self._name = Fernet(base64.urlsafe_b64encode(digest)), name

    def encrypt(self, secret: bytes) -> bytes:
        """The ciphertext, printable ASCII, different each time."""
        return self._cipher.encrypt(secret)

    def decrypt(self, encrypted: bytes) -> bytes:
        """The plaintext; ``Unavailable`` for other bytes, or if the setting has changed since."""
        try:
            return self._cipher.decrypt(encrypted)
        except InvalidToken:
            raise Unavailable(f"this was encrypted under another {self._name}") from None
