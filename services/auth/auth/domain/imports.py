"""A file of families beside the registry: what it adds, changes, and lacks."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auth.domain.registry import Child, Household, NewId, Plan, plan
from contracts.api.auth import Difference, ImportReport

DIFFERENCES_MAX = 500


@dataclass(frozen=True)
class Comparison:
    """What a file would do; ``digest`` names exactly that, so that what is applied is what was shown."""

    plans: tuple[Plan, ...]
    gone: tuple[Household, ...]
    report: ImportReport
    digest: bytes


def compare(
    known: Mapping[str, Household], children: Mapping[str, Child], wanted: Sequence[Household], new_id: NewId
) -> Comparison:
    """The file against the registry. A child that is new in two households of the file is one child."""
    numbered = dict(children)
    plans = []
    for household in wanted:
        made = plan(known.get(household.reference), household, numbered, new_id)
        if made:
            plans.append(made)
            fresh = (*made.added_children, *made.changed_children)
            numbered.update({child.reference: child for child in fresh if child.reference})
    named = {household.reference for household in wanted}
    gone = tuple(each for each in known.values() if each.active and each.reference not in named)
    differences = [*(_difference(each) for each in plans), *(_gone(each) for each in gone)]
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
    )
    digest = hashlib.sha256()
    for each in differences:
        digest.update(each.model_dump_json().encode())
    return Comparison(tuple(plans), gone, report, digest.digest())


def _difference(made: Plan) -> Difference:
    after = made.after
    kind = "added" if made.is_new else "changed"
    return Difference(kind=kind, reference=after.reference, name=after.name, details=made.details)


def _gone(household: Household) -> Difference:
    return Difference(kind="gone", reference=household.reference, name=household.name)
