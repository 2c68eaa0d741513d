"""The chains of published documents and of ledger transactions: a link's hash covers its content and the hash before.

What is hashed of either is in ``canonical``.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from billing.domain.canonical import DOCUMENT_VERSION

CHANGED = "the document does not say what was published"


@dataclass(frozen=True)
class Link:
    """A place in a chain; ``number`` is the document's, or the key of the ledger transaction.

    ``version`` is that of the written form which ``digest`` is of.
    """

    position: int
    number: str
    digest: bytes
    previous: bytes | None
    hash: bytes
    version: int = DOCUMENT_VERSION


def extend(last: Link | None, contents: Iterable[tuple[str, bytes]], version: int = DOCUMENT_VERSION) -> list[Link]:
    """The links of new contents, given as number and digest, after the last one."""
    links = []
    for number, content in contents:
        previous = last.hash if last else None
        position = last.position + 1 if last else 1
        last = Link(position, number, content, previous, hashlib.sha256((previous or b"") + content).digest(), version)
        links.append(last)
    return links


def broken(
    last: Link | None, links: Sequence[Link], digests: Sequence[bytes | None], changed: str = CHANGED
) -> list[str]:
    """What is wrong with links that follow ``last``; a digest is None for what is not there any more.

    ``changed`` is what is said of a content that has another digest than its link.
    """
    wrong = []
    for link, content in zip(links, digests, strict=True):
        (expected,) = extend(last, [(link.number, link.digest)], link.version)
        if link != expected:
            wrong.append(f"{link.number}: the chain is broken at position {link.position}")
        if content != link.digest:
            wrong.append(f"{link.number}: {changed}")
        last = link
    return wrong


def gaps(numbers: Iterable[str]) -> list[str]:
    """Numbers that are missing in their series and year; a number is ``2026-000001`` or ``A-2026-000001``."""
    series = groupby(sorted(numbers), key=lambda number: number.rpartition("-")[0])
    missing = []
    for name, found in series:
        taken = {int(number.rpartition("-")[2]) for number in found}
        missing += [f"{name}-{number:06d}" for number in sorted(set(range(1, max(taken) + 1)) - taken)]
    return missing
