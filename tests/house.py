"""Measures how simple the house is, and fails when a piece outgrows its room: ``python tests/house.py``.

Lines are counted without blank lines, comments and docstrings. An exception is named below with its reason.
"""

import ast
import io
import sys
import tokenize
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("chassis", "contracts", "documents", "gateway", "services", "deploy")
FUNCTION_LINES_MAX = 40
FILE_LINES_MAX = 300
EXCEPTIONS: dict[str, str] = {}


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


def main() -> int:
    """Print the largest pieces and the status."""
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
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
