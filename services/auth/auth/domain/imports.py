"""A file of families beside the registry: what it adds, changes, and lacks."""

import hashlib
from collections import Counter
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType

from auth.domain.families_file import ERRORS_MAX, FamiliesFile
from auth.domain.registry import Child, Household, NewId, Plan, plan
from auth.domain.schools import Schools
from contracts.api.auth import Difference, FileError, ImportReport
from contracts.names import name_key as plain
from contracts.spans import written_day

DIFFERENCES_MAX = 500
ERASED = "ce foyer a été effacé à la demande de la famille ; un nouveau foyer a une autre référence"


@dataclass(frozen=True)
class Comparison:
    """What a file would do; ``digest`` names exactly that, so that what is applied is what was shown."""

    plans: tuple[Plan, ...]
    gone: tuple[Household, ...]
    report: ImportReport
    digest: bytes


def compare(
    known: Mapping[str, Household],
    children: Mapping[str, Child],
    file: FamiliesFile,
    new_id: NewId,
    *,
    today: date,
    erased: Container[str] = (),
    new_schools: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Comparison:
    """The file against the registry, in which the references of ``erased`` households serve no more; it adds
    ``new_schools``, and new classes, by school.

    A child that is new in two households of the file is one child.
    """
    numbered, wanted, plans = dict(children), file.households, []
    errors = [error for each in wanted for error in _wrong(each, known, children, file.lines, today, erased)]
    for household in wanted:
        made = plan(known.get(household.reference), household, numbered, new_id)
        if made:
            plans.append(made)
            fresh = (*made.added_children, *made.changed_children)
            numbered.update({child.reference: child for child in fresh if child.reference})
    gone = tuple(each for each in known.values() if each.active and each.reference not in file.lines)
    differences = [
        *(_new_school(school, class_names) for school, class_names in new_schools.items()),
        *(_difference(each) for each in plans),
        *(_gone(each) for each in gone),
    ]
    added = sum(each.is_new for each in plans)
    report = ImportReport(
        households=len(wanted),
        guardians=sum(len(each.guardians) for each in wanted),
        children=sum(len(each.places) for each in wanted),
        added=added,
        changed=len(plans) - added,
        gone=len(gone),
        same=len(wanted) - len(plans),
        differences=tuple(differences[:DIFFERENCES_MAX]),
        errors=tuple([*file.errors, *errors][:ERRORS_MAX]),
    )
    digest = hashlib.sha256()
    for each in differences:
        digest.update(each.model_dump_json().encode())
    return Comparison(tuple(plans), gone, report, digest.digest())


def _wrong(
    household: Household,
    known: Mapping[str, Household],
    children: Mapping[str, Child],
    lines: Mapping[str, int],
    today: date,
    erased: Container[str],
) -> Iterator[FileError]:
    """Why a household of the file cannot be: what the registry knows is against it."""
    line = lines[household.reference]
    if household.reference in erased:
        yield FileError(line=line, column="Foyer", message=ERASED)
    yield from _strangers(household, children, lines)
    yield from _impossible(household, known.get(household.reference), line, today)


def _impossible(household: Household, known: Household | None, line: int, today: date) -> Iterator[FileError]:
    """Children who are not born yet, or twice in the household though they are not there."""
    there = Counter(_person(each.child) for each in known.places) if known else Counter()
    for person, count in Counter(_person(each.child) for each in household.places).items():
        if count > max(1, there[person]):
            yield FileError(line=line, column="Nom enfant", message=f"« {person[0]} » est {count} fois dans le foyer")
        if person[1] > today:
            message = f"« {person[0]} » naîtrait le {written_day(person[1])}"
            yield FileError(line=line, column="Naissance", message=message)


def _person(child: Child) -> tuple[str, date]:
    return plain(child.name), child.birth_date


def _strangers(household: Household, children: Mapping[str, Child], lines: Mapping[str, int]) -> Iterator[FileError]:
    """Numbers that belong to somebody else: a slip here would show a family another one's child."""
    for place in household.places:
        same = children.get(place.child.reference) if place.child.reference else None
        if same and plain(same.name) != plain(place.child.name) and same.birth_date != place.child.birth_date:
            message = f"le n° {same.reference} est celui de {same.name}, né(e) le {written_day(same.birth_date)}"
            yield FileError(line=lines[household.reference], column="N° enfant", message=message)


def spelt(file: FamiliesFile, known: Schools) -> tuple[FamiliesFile, dict[str, list[str]]]:
    """The file with each school and class as it is registered, and those that it would add, classes by school.

    A school that may be a slip of a registered one is an error that names it; a class that is not there is new.
    """
    errors, new = list(file.errors), dict[str, list[str]]()
    names, households = dict[str, str](), []
    for household in file.households:
        places = []
        for place in household.places:
            found = known.school(place.child.school)
            school = names.setdefault(plain(place.child.school), found.name if found else place.child.school)
            near = [] if found or school in new else known.near(school)
            if near:
                message = f"« {school} » n'est pas dans la liste ; voulez-vous dire {' ou '.join(near)} ?"
                errors.append(FileError(line=file.lines[household.reference], column="École", message=message))
            of_class = names.setdefault(
                f"{plain(school)}/{plain(place.child.class_name)}",
                (found.classes if found else {}).get(plain(place.child.class_name), place.child.class_name),
            )
            if found is None or plain(of_class) not in found.classes:
                added = new.setdefault(school, [])
                added += [of_class] if of_class not in added else []
            places.append(replace(place, child=replace(place.child, school=school, class_name=of_class)))
        households.append(replace(household, places=tuple(places)))
    return replace(file, households=tuple(households), errors=tuple(errors)), new


def _new_school(school: str, class_names: Collection[str]) -> Difference:
    details = tuple(f"classe ajoutée : {each}" for each in class_names)
    return Difference(kind="school", reference="École", name=school, details=details)


def _difference(made: Plan) -> Difference:
    after = made.after
    kind = "added" if made.is_new else "changed"
    return Difference(kind=kind, reference=after.reference, name=after.name, details=made.details)


def _gone(household: Household) -> Difference:
    return Difference(kind="gone", reference=household.reference, name=household.name)
