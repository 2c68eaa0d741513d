"""What two people edit at once: nothing is overwritten unseen, and nothing of what was typed is lost.

A form carries the version of what it shows. When that has changed by the time it is sent, the form is shown again as
it was typed, with the version of now and what differs from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from contracts.failures import ChangedMeanwhile
from contracts.versions import version_of
from gateway.clients.services import UpstreamError
from gateway.forms.fields import digest
from gateway.languages import N_, _

VERSION = "version"
VERSION_FIELD = {VERSION: digest(N_("Version de la page"))}
"""The field of a form that shows what two people can edit."""


@dataclass(frozen=True)
class Change:
    """A field as it is kept now, and as it was typed."""

    label: str
    now: str
    mine: str


def has_changed(error: UpstreamError) -> bool:
    """Whether a service says that somebody else was there first."""
    return error.upstream_code == ChangedMeanwhile.code


def differences(now: Mapping[str, object], mine: Mapping[str, object], labels: Mapping[str, str]) -> tuple[Change, ...]:
    """What is kept now and was typed otherwise, field by field."""
    return tuple(
        Change(label, _text(now.get(name, "")), _text(mine.get(name, "")))
        for name, label in labels.items()
        if _text(now.get(name, "")) != _text(mine.get(name, ""))
    )


def _text(value: object) -> str:
    if isinstance(value, bool):
        return _("oui") if value else _("non")
    return ", ".join(sorted(map(str, value))) if isinstance(value, set | frozenset) else str(value or "").strip()


def version(shown: BaseModel | None) -> str:
    """What the form of this carries."""
    return version_of(shown)
