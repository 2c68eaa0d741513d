"""The chain of published documents: each link's hash covers its content and the hash before it."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from contracts.model import Contract


@dataclass(frozen=True)
class Link:
    """A place in the chain."""

    position: int
    number: str
    digest: bytes
    previous: bytes | None
    hash: bytes


def digest(model: Contract) -> bytes:
    """SHA-256 of what a document says, without what moves afterwards (what is left to pay, what was credited).

    Fields at their default are left out: one that a later release adds leaves the digests of old documents as they are.
    """
    moving = {"left_cents", "status", "checkout_id", "credited_cents"}
    said = model.model_dump_json(exclude={"summary": moving}, exclude_defaults=True).encode()
    return hashlib.sha256(said).digest()


def extend(last: Link | None, documents: Iterable[tuple[str, bytes]]) -> list[Link]:
    """The links of new documents, given as number and digest, after the last one."""
    links = []
    for number, content in documents:
        previous = last.hash if last else None
        position = last.position + 1 if last else 1
        last = Link(position, number, content, previous, hashlib.sha256((previous or b"") + content).digest())
        links.append(last)
    return links


def broken(last: Link | None, links: Sequence[Link], digests: Sequence[bytes | None]) -> list[str]:
    """What is wrong with links that follow ``last``; a digest is None for a document that is not there any more."""
    wrong = []
    for link, content in zip(links, digests, strict=True):
        (expected,) = extend(last, [(link.number, link.digest)])
        if link != expected:
            wrong.append(f"{link.number}: the chain is broken at position {link.position}")
        if content != link.digest:
            wrong.append(f"{link.number}: the document does not say what was published")
        last = link
    return wrong


def gaps(numbers: Iterable[str]) -> list[str]:
    """Numbers that are missing in their series and year; a number is ``2026-000001`` or ``A-2026-000001``."""
    series = groupby(sorted(numbers), key=lambda number: number[:-7])
    missing = []
    for name, found in series:
        taken = {int(number[-6:]) for number in found}
        missing += [f"{name}-{number:06d}" for number in sorted(set(range(1, max(taken) + 1)) - taken)]
    return missing
