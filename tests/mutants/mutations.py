"""Small wrong changes of a module, one at a time, each as a compiled tree and a line that says what it is."""

import ast
import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass

COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE,),
    ast.LtE: (ast.Lt,),
    ast.Gt: (ast.GtE,),
    ast.GtE: (ast.Gt,),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
SAID = {"log", "logging", "tracing", "structlog"}
"""What is said to an operator and decides nothing."""
CONDITION = re.compile(r" AND (?:NOT )?[\w.]+ [^()]*?(?= AND | ORDER | GROUP | RETURNING | LIMIT | FOR |\)|$)")
LOCK = re.compile(r" FOR (?:NO KEY )?UPDATE(?: OF \w+)?(?: SKIP LOCKED)?")
SQL = re.compile(r"\b(SELECT|UPDATE|DELETE FROM|INSERT INTO)\b")


@dataclass(frozen=True)
class Mutant:
    """A module with one change in it."""

    number: int
    line: int
    says: str
    tree: ast.Module


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module; the same source gives the same ones in the same order."""
    count = len(_places(ast.parse(source)))
    number = 0
    for place in range(count):
        for variant in range(len(list(_changed(_places(ast.parse(source))[place])))):
            tree = ast.parse(source)
            node = _places(tree)[place]
            new = list(_changed(node))[variant]
            says = f"{_short(node)}  →  {_short(new)}"
            yield Mutant(number, node.lineno, says, _Replace(node, new).whole(tree))
            number += 1


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else self.generic_visit(node)

    def whole(self, tree: ast.Module) -> ast.Module:
        changed: ast.Module = ast.fix_missing_locations(self.visit(tree))
        return changed


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 160 else f"{text[:100]} … {text[-55:]}"


def _places(tree: ast.AST) -> list[ast.expr | ast.stmt]:
    """The nodes that may be changed, in their order; not what is said to people or to mypy."""
    found: list[ast.expr | ast.stmt] = []
    _collect(tree, found)
    return found


def _collect(node: ast.AST, found: list[ast.expr | ast.stmt]) -> None:
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "bases", "type_params"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_said(child):
                if isinstance(child, ast.expr | ast.stmt):
                    found.append(child)
                if not isinstance(child, ast.JoinedStr):
                    _collect(child, found)


def _is_said(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom() | ast.Assert():
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
            return name in SAID
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name in {"log", "__all__"} or name.endswith("TypeVar")
    return False


def _changed(node: ast.expr | ast.stmt) -> Iterator[ast.AST]:  # noqa: PLR0912 - one line a kind
    match node:
        case ast.Compare(ops=ops):
            for index, op in enumerate(ops):
                for other in COMPARED[type(op)]:
                    yield _with(node, ops=[*ops[:index], other(), *ops[index + 1 :]])
        case ast.BoolOp(op=op, values=values):
            yield _with(node, op=ast.And() if isinstance(op, ast.Or) else ast.Or())
            for index in range(len(values)):
                left = [*values[:index], *values[index + 1 :]]
                yield left[0] if len(left) == 1 else _with(node, values=left)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in COMPUTED and not _is_text(node):
            yield _with(node, op=COMPUTED[type(op)]())
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=str(value)) if SQL.search(value):
            for pattern in (CONDITION, LOCK):
                for match in pattern.finditer(value):
                    yield ast.Constant(value[: match.start()] + value[match.end() :])
        case ast.JoinedStr(values=values):
            for index, part in enumerate(values):
                if isinstance(part, ast.FormattedValue) and part.format_spec is None and len(values) > 1:
                    yield _with(node, values=[*values[:index], *values[index + 1 :]])
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) if _is_plain(test):
            yield _with(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Call(func=ast.Name(id=name)) if name in NAMES:
            yield _with(node, func=ast.Name(NAMES[name], ast.Load()))
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Raise():
            yield ast.Pass()
        case ast.Return(value=value) if value is not None and not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()


def _with(node: ast.AST, **fields: object) -> ast.AST:
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def _is_plain(test: ast.expr) -> bool:
    return isinstance(test, ast.Name | ast.Attribute | ast.Call | ast.Subscript | ast.Await | ast.NamedExpr)


def _is_text(node: ast.AST) -> bool:
    """Whether something is put together that is no number, as far as one sees."""
    sides = [getattr(node, name, None) for name in ("left", "right", "value")]
    return any(isinstance(side, ast.JoinedStr | ast.List | ast.Tuple) for side in sides) or any(
        isinstance(side, ast.Constant) and isinstance(side.value, str) for side in sides
    )
