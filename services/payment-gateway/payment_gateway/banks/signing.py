"""What may be signed for a payer's browser: every field has a shape, and a value that does not fit is never signed.

A bank's signature covers a text made of values and separators. A value that could hold the separator would let whoever
chose it read another text into the same signature: another form, or, where the bank signs with the same key, another
notification. So the shapes below hold no separator of any bank: neither ``+`` (Lyra) nor ``&`` and ``=`` (Paybox).
"""

import re
from collections.abc import Mapping, Sequence

MAIL = re.compile(r"[A-Za-z0-9._-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)
"""A mail address as it may be signed; one with a ``+`` is a good address and no value of a Lyra form."""
WEB_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._-]+)*/?", re.ASCII)
CENTS = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
NAME_MAX, VALUE_MAX = 64, 2_000


class UnsafeValueError(ValueError):
    """A value that its field's shape does not allow; it names the field and never repeats the value."""


def checked(fields: Sequence[tuple[str, str]], shapes: Mapping[str, re.Pattern[str]]) -> tuple[tuple[str, str], ...]:
    """The same fields, each of a name that ``shapes`` has and of its shape, none twice; ``UnsafeValueError``."""
    names = [name for name, _ in fields]
    for name, value in fields:
        shape = shapes.get(name)
        if shape is None or names.count(name) > 1 or len(value) > VALUE_MAX or not shape.fullmatch(value):
            raise UnsafeValueError(f"{name} is not what may be signed")
    return tuple(fields)


def shapes_of(**patterns: str | re.Pattern[str]) -> dict[str, re.Pattern[str]]:
    """Shapes by field name, from patterns in ASCII."""
    return {name: re.compile(each, re.ASCII) if isinstance(each, str) else each for name, each in patterns.items()}
