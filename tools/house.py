"""Measures the code, and checks its words, the decisions and links to them: ``python -m tools.house``.

Lines are counted without blank lines, comments and docstrings. An exception is listed below with its reason. A decision
in ``docs/decisions`` has a title with its number, a status, a date, and a line in the index.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("chassis", "contracts", "documents", "gateway", "services", "deploy")
FUNCTION_LINES_MAX = 40
FILE_LINES_MAX = 300
EXCEPTIONS: dict[str, str] = {}
RETIRED = re.compile(
    r"\b(doors?|\w*Wish|wish(?:es)?|told|tells?|listeners?|heard|hears?|park(?:ed|ing)?|rungs?|vitals?|say.again"
    r"|till keepers?|TILL_KEEPER|crowds?|seldom|anew|whoever|let go of|keep_running|in_line|FIRST_WORDS)\b"
)
"""Words of an earlier vocabulary; docs/glossary.md has today's."""
REWRITTEN = ("chassis/chassis", "contracts/contracts", "documents/documents", "tools")
"""The folders in which no retired word may be used: each that was rewritten is added."""
KEPT = {
    "chassis/chassis/broker/topology.py": ("parked",),  # the name of the dead-letter queues at the broker
    "chassis/chassis/inbox.py": ("listener",),  # a column
    "tools/house.py": ("*",),
}
DECISIONS = ROOT / "docs" / "decisions"
DECISION_LINES = {
    "a title such as « # 12. Run … »": r"\A# \d+\. \S",
    "« - Status: accepted » or « - Status: superseded by … »": r"^- Status: (accepted\b|superseded by ).*$",
    "« - Date: 2026-12-01 »": r"^- Date: \d{4}-\d{2}-\d{2}$",
}
DECISION_LINK = re.compile(r"decisions/(\d{4}-[\w-]+\.md)")
SIBLING_LINK = re.compile(r"\]\((\d{4}-[\w-]+\.md)")
DECISION_NUMBER = re.compile(r"\b[Dd]ecisions? (\d{1,4})\b")


@dataclass(frozen=True)
class Piece:
    """A file or a function, and how many lines of code it has."""

    name: str
    lines: int


def code_lines(source: str) -> set[int]:
    """The numbers of the lines that carry code."""
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in skipped:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            docstring = node.body[0]
            lines.difference_update(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    return lines


def sources() -> list[Path]:
    """Every Python file of the house but its tests."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path for path in found if "tests" not in path.relative_to(ROOT).parts)


def measure(path: Path) -> tuple[Piece, list[Piece]]:
    """The file and its functions."""
    source = path.read_text(encoding="utf-8")
    lines = code_lines(source)
    name = str(path.relative_to(ROOT))
    functions = [
        Piece(f"{name}:{node.name}", len(lines & set(range(node.lineno, (node.end_lineno or node.lineno) + 1))))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return Piece(name, len(lines)), functions


def decision_errors() -> list[str]:
    """What a decision lacks, and the index of decisions."""
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    errors, numbers = [], set[str]()
    for path in sorted(DECISIONS.glob("[0-9]*.md")):
        name, text = path.relative_to(ROOT), path.read_text(encoding="utf-8")
        errors += [
            f"{name} lacks {line}" for line, shape in DECISION_LINES.items() if not re.search(shape, text, re.MULTILINE)
        ]
        number = path.name[:4]
        if number in numbers:
            errors.append(f"{name}: another decision has this number")
        numbers.add(number)
        if not text.startswith(f"# {int(number)}. "):
            errors.append(f"{name}: the title has another number")
        if index.count(f"]({path.name})") != 1:
            errors.append(f"{name} needs one line in docs/decisions/README.md")
    return errors


def link_errors() -> list[str]:
    """Links and references to decisions that do not exist, in any text file of the repository."""
    names = {path.name for path in DECISIONS.glob("[0-9]*.md")}
    numbers = {int(name[:4]) for name in names}
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    errors = []
    for name in listed.stdout.decode().split("\0")[:-1]:
        path = ROOT / name
        if not path.is_file() or b"\0" in (content := path.read_bytes()):
            continue
        text = content.decode(errors="replace")
        links = DECISION_LINK.findall(text)
        if path.parent == DECISIONS:
            links += SIBLING_LINK.findall(text)
        errors += [f"{name}: no decision {link}" for link in links if link not in names]
        errors += [
            f"{name}: no decision {number}" for number in DECISION_NUMBER.findall(text) if int(number) not in numbers
        ]
    return errors


def retired_words() -> list[str]:
    """Each use of a retired word in the rewritten folders, as ``file:line: word``."""
    found = []
    for path in sorted(each for folder in REWRITTEN for each in (ROOT / folder).rglob("*.py")):
        name = str(path.relative_to(ROOT))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            words = {match.group() for match in RETIRED.finditer(line)}
            if not {*KEPT.get(name, ())} & {*words, "*"}:
                found += [f"{name}:{number}: {word}" for word in sorted(words)]
    return found


def main() -> int:
    """Print the largest pieces and every error; 1 if there is one."""
    measured = [measure(path) for path in sources()]
    files = sorted((file for file, _ in measured), key=lambda piece: -piece.lines)
    functions = sorted((each for _, found in measured for each in found), key=lambda piece: -piece.lines)
    too_large = [each for each in files if each.lines > FILE_LINES_MAX]
    too_large += [each for each in functions if each.lines > FUNCTION_LINES_MAX]
    unexplained = [each for each in too_large if each.name not in EXCEPTIONS]
    print(f"{len(files)} files, {sum(file.lines for file in files)} lines of code, {len(functions)} functions")
    for title, pieces, most in (("file", files, FILE_LINES_MAX), ("function", functions, FUNCTION_LINES_MAX)):
        print(f"longest {title}s (at most {most} lines):")
        for piece in pieces[:5]:
            print(f"  {piece.lines:4} {piece.name}")
    for piece in unexplained:
        print(f"outgrown: {piece.name} has {piece.lines} lines")
    errors = [*decision_errors(), *link_errors(), *(f"retired word: {each}" for each in retired_words())]
    for error in errors:
        print(error)
    return 1 if unexplained or errors else 0


if __name__ == "__main__":
    sys.exit(main())
