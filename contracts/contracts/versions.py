"""Versions for optimistic locking: a hash that changes with any field of a contract model.

The page that shows something keeps its version and sends it back as ``If-Match`` with the change; the service compares
it with the present one. A version is not stored: it says whether anything differs, not how often it changed.
"""

import hashlib
import json

from pydantic import BaseModel

NONE_YET = "0"
"""The version of what does not exist yet."""


def version_of(shown: BaseModel | None) -> str:
    """The version of a model as it is now; ``NONE_YET`` without one."""
    if shown is None:
        return NONE_YET
    text = json.dumps(_ordered(shown.model_dump()), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _ordered(value: object) -> object:
    """The same, with sets in one order whatever program writes them."""
    match value:
        case dict():
            return {str(name): _ordered(each) for name, each in value.items()}
        case list() | tuple():
            return [_ordered(each) for each in value]
        case set() | frozenset():
            return sorted(str(each) for each in value)
    return value
