"""The registry of families: households as they are and as they must be, and what lies between the two.

A page names people by their ids. A file has none: there a guardian is recognised by name within the household, so that
somebody with another name is another person and never gets the account of the one before; a child by the town hall's
number, else by name and birth date within the household. Each person there is recognised once: two guardians, or two
children born on a day, may have the same name. An address that its owner has confirmed is the owner's: neither a file
nor the town hall changes it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType
from typing import TypeVar
from uuid import UUID

from contracts.events.auth import Custody, Span
from contracts.model import Language
from contracts.names import name_key as plain
from contracts.spans import written_day, written_span

NewId = Callable[[], UUID]
Person = TypeVar("Person")
CUSTODY = {Custody.FREE: "libre", Custody.EVEN_WEEKS: "semaines paires", Custody.ODD_WEEKS: "semaines impaires"}
LANGUAGES = {Language.FR: "français", Language.EN: "anglais"}


@dataclass(frozen=True)
class Guardian:
    """An adult of a household."""

    first_name: str
    last_name: str
    email: str | None = None
    guardian_id: UUID | None = None
    owns_email: bool = False

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True)
class Child:
    """A child; what is true of it in every household."""

    first_name: str
    last_name: str
    birth_date: date
    school: str
    class_name: str
    reference: str | None = None
    child_id: UUID | None = None

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True)
class Place:
    """A child in one household."""

    child: Child
    custody: Custody = Custody.FREE
    custody_days: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Household:
    """A household, whole; without a ``locale`` it keeps the one it has, and a new one reads French."""

    reference: str
    name: str
    address: tuple[str, ...]
    guardians: tuple[Guardian, ...]
    places: tuple[Place, ...] = ()
    household_id: UUID | None = None
    active: bool = True
    locale: Language | None = None


@dataclass(frozen=True)
class Plan:
    """What makes a household as it must be. ``after`` has every id; ``details`` say the same to people."""

    after: Household
    is_new: bool
    added_guardians: tuple[Guardian, ...] = ()
    changed_guardians: tuple[Guardian, ...] = ()
    closed_guardians: tuple[UUID, ...] = ()
    added_children: tuple[Child, ...] = ()
    changed_children: tuple[Child, ...] = ()
    details: tuple[str, ...] = field(default=())


def plan(
    known: Household | None,
    wanted: Household,
    children: Mapping[str, Child],
    new_id: NewId,
    others: Mapping[UUID, Child] = MappingProxyType({}),
    *,
    by_name: bool = True,
) -> Plan | None:
    """What makes ``known`` into ``wanted``; None when nothing does.

    ``children`` are all those with a number, ``others`` those of other households that are named by id. Whoever has no
    id is recognised ``by_name``, or else is new.
    """
    base = known or replace(wanted, guardians=(), places=(), household_id=new_id())
    guardians = _guardians(base, wanted, new_id, by_name=by_name)
    places, added, changed = _places(base, wanted, children, others, new_id, by_name=by_name)
    kept = {each.guardian_id for each in guardians}
    before = {each.guardian_id: each for each in base.guardians}
    after = replace(
        wanted,
        household_id=base.household_id,
        guardians=guardians,
        places=places,
        active=True,
        locale=wanted.locale or base.locale or Language.FR,
    )
    if known is not None and after == known and not added and not changed:
        return None
    return Plan(
        after,
        is_new=known is None,
        added_guardians=tuple(each for each in guardians if each.guardian_id not in before),
        changed_guardians=tuple(each for each in guardians if before.get(each.guardian_id, each) != each),
        closed_guardians=tuple(each for each in before if each is not None and each not in kept),
        added_children=added,
        changed_children=changed,
        details=tuple(_details(base, after, is_new=known is None)),
    )


def _guardians(base: Household, wanted: Household, new_id: NewId, *, by_name: bool) -> tuple[Guardian, ...]:
    if not by_name:
        by_id = {each.guardian_id: each for each in base.guardians}
        known = [by_id.get(each.guardian_id) if each.guardian_id else None for each in wanted.guardians]
        return tuple(
            replace(each, guardian_id=same.guardian_id, owns_email=same.owns_email)
            if same
            else replace(each, guardian_id=new_id())
            for each, same in zip(wanted.guardians, known, strict=True)
        )
    found = []
    for each, same in zip(wanted.guardians, _same_guardians(base, wanted), strict=True):
        if same is None:
            found.append(replace(each, guardian_id=new_id()))
            continue
        email = same.email if same.owns_email or not each.email else each.email
        found.append(replace(each, guardian_id=same.guardian_id, email=email, owns_email=same.owns_email))
    return tuple(found)


def _same_guardians(base: Household, wanted: Household) -> list[Guardian | None]:
    return recognised(base.guardians, wanted.guardians, _GUARDIAN_KEYS)


_GUARDIAN_KEYS: tuple[Callable[[Guardian], object], ...] = (
    lambda each: (each.first_name, each.last_name, each.email),
    lambda each: (each.first_name, each.last_name),
    lambda each: (plain(each.name), each.email),
    lambda each: plain(each.name),
)
_CHILD_KEYS: tuple[Callable[[Child], object], ...] = (
    lambda each: replace(each, child_id=None),
    lambda each: (each.first_name, each.last_name, each.birth_date),
    lambda each: (plain(each.name), each.birth_date),
)


def recognised(
    known: Sequence[Person], wanted: Sequence[Person], keys: Sequence[Callable[[Person], object]]
) -> list[Person | None]:
    """Who of ``known`` each of ``wanted`` is: by the strictest key first, in order, and each of them once."""
    found: list[Person | None] = [None] * len(wanted)
    left = list(known)
    for key in keys:
        for number, each in enumerate(wanted):
            if found[number] is None:
                found[number] = next((one for one in left if key(one) == key(each)), None)
                left = [one for one in left if one is not found[number]]
    return found


def _places(
    base: Household,
    wanted: Household,
    children: Mapping[str, Child],
    others: Mapping[UUID, Child],
    new_id: NewId,
    *,
    by_name: bool,
) -> tuple[tuple[Place, ...], tuple[Child, ...], tuple[Child, ...]]:
    """The places with ids, the children that are new, and those that changed."""
    by_id: dict[UUID | None, Child] = dict(others.items())
    by_id.update((each.child.child_id, each.child) for each in base.places)
    named = [children.get(each.child.reference or "") or by_id.get(each.child.child_id) for each in wanted.places]
    taken = {each.child_id for each in named if each}
    unnamed = [place.child for place, same in zip(wanted.places, named, strict=True) if same is None]
    rest = [each.child for each in base.places if each.child.child_id not in taken]
    by_their_name = iter(recognised(rest, unnamed, _CHILD_KEYS) if by_name else [None] * len(unnamed))
    places: list[Place] = []
    added, changed = [], []
    for place, numbered in zip(wanted.places, named, strict=True):
        child, same = place.child, numbered or next(by_their_name)
        if same is None or same.child_id in {each.child.child_id for each in places}:
            child = replace(child, child_id=child.child_id or new_id(), reference=None if same else child.reference)
            added.append(child)
        else:
            child = replace(child, child_id=same.child_id, reference=child.reference or same.reference)
            if child != same:
                changed.append(child)
        places.append(replace(place, child=child))
    return tuple(places), tuple(added), tuple(changed)


def custody_text(place: Place) -> str:
    """« semaines paires », the days, or both."""
    spans = [written_span(each) for each in place.custody_days]
    is_said = place.custody is not Custody.FREE or not spans
    return " | ".join([CUSTODY[place.custody], *spans] if is_said else spans)


def _details(base: Household, after: Household, *, is_new: bool) -> list[str]:
    """What changes, in the town hall's words."""
    was, language = LANGUAGES[base.locale or Language.FR], LANGUAGES[after.locale or Language.FR]
    if is_new:
        spoken = [f"langue : {language}"] if after.locale is not Language.FR else []
        guardians = [f"responsable : {each.name}" for each in after.guardians]
        return [*spoken, *guardians, *(_child_line(place) for place in after.places)]
    lines = [] if base.active else ["foyer rouvert"]
    if base.name != after.name:
        lines.append(f"nom : {base.name} → {after.name}")
    if base.address != after.address:
        lines.append(f"adresse : {', '.join(base.address)} → {', '.join(after.address)}")
    if was != language:
        lines.append(f"langue : {was} → {language}")
    lines += _guardian_lines(base, after)
    return lines + _place_lines(base, after)


def _child_line(place: Place) -> str:
    child = place.child
    return f"enfant : {child.name}, né(e) le {written_day(child.birth_date)}, {child.school}, {child.class_name}"


def _guardian_lines(base: Household, after: Household) -> list[str]:
    before = {each.guardian_id: each for each in base.guardians}
    now = {each.guardian_id for each in after.guardians}
    lines = []
    for each in after.guardians:
        was = before.get(each.guardian_id)
        if was is None:
            lines.append(f"responsable ajouté : {each.name}")
        elif was != each:
            lines.append(
                f"responsable : {was.name} {was.email or ''} → {each.name} {each.email or ''}".replace("  ", " ")
            )
    return lines + [f"responsable retiré : {each.name}" for each in base.guardians if each.guardian_id not in now]


def _place_lines(base: Household, after: Household) -> list[str]:
    before = {each.child.child_id: each for each in base.places}
    now = {each.child.child_id for each in after.places}
    lines = []
    for each in after.places:
        was = before.get(each.child.child_id)
        if was is None:
            lines.append(f"enfant ajouté : {each.child.name}")
            continue
        pairs = (
            ("nom", was.child.name, each.child.name),
            ("numéro", was.child.reference or "aucun", each.child.reference or "aucun"),
            ("naissance", f"{written_day(was.child.birth_date)}", f"{written_day(each.child.birth_date)}"),
            ("école", was.child.school, each.child.school),
            ("classe", was.child.class_name, each.child.class_name),
            ("garde", custody_text(was), custody_text(each)),
        )
        lines += [f"{each.child.first_name}, {what} : {old} → {new}" for what, old, new in pairs if old != new]
    return lines + [f"enfant retiré : {each.child.name}" for each in base.places if each.child.child_id not in now]
