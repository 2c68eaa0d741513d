"""What is sealed tells nothing and opens under its own secret alone."""

import pytest
from pydantic import SecretStr

from chassis.encryption import Encryption
from contracts.failures import Unavailable

ENCRYPTION = Encryption(SecretStr("a secret of the tests"), "LINK_SECRET")


def test_what_was_sealed_opens_again_and_is_not_readable_meanwhile() -> None:
    sealed = ENCRYPTION.encrypt(b"the link's token")
    assert ENCRYPTION.decrypt(sealed) == b"the link's token"
    assert b"token" not in sealed
    assert ENCRYPTION.encrypt(b"the link's token") != sealed


@pytest.mark.parametrize(
    "other", [b"", b"the link's token", Encryption(SecretStr("another"), "X").encrypt(b"the link's token")]
)
def test_nothing_else_opens(other: bytes) -> None:
    with pytest.raises(Unavailable, match="LINK_SECRET"):
        ENCRYPTION.decrypt(other)
