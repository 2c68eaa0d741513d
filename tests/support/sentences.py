"""The sentences of the parents' pages, as the translations need them."""

from collections.abc import Iterator
from pathlib import Path

from babel.messages.extract import extract

import gateway

ROOT = Path(gateway.__file__).parent
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}


def sentences() -> dict[str, tuple[str, ...]]:
    """Every sentence of templates and Python, as Babel's extractors find them: its forms, one or two, by the first."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted(ROOT.rglob("*")):
        for forms in _of(path):
            if forms[0] in found and found[forms[0]] != forms:
                raise AssertionError(f"{path.name} says « {forms[0]} » in another number of forms than another file")
            found[forms[0]] = forms
    return found


def _of(path: Path) -> Iterator[tuple[str, ...]]:
    method = {".py": "python", ".html": "jinja2.ext:babel_extract"}.get(path.suffix)
    if method is None:
        return
    with path.open("rb") as file:
        for _line, said, _comments, _context in extract(method, file, keywords=KEYWORDS, options={"encoding": "utf-8"}):
            yield (said,) if isinstance(said, str) else tuple(said)
