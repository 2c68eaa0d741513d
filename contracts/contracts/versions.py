"""The version of what two people can edit: another as soon as anything in it is.

Whoever shows something to be edited keeps the version of what was shown, and sends it back as ``If-Match`` with the
change; who keeps it compares it with what is there by then. Both go by the same contract model, so a version is never
stored: it says that nothing differs, and not how often it changed.
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
