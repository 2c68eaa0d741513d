"""``python -m tests.mutants [WORD …]``: changes the rules of money, sessions and idempotency one small thing at a time,
runs the closest tests, and prints each change that no test noticed. WORD chooses modules by a part of their name.

The module is changed in memory, in a process of its own for each change; nothing is written but ``build/mutants``.
"""

import contextlib
import importlib
import io
import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import contracts
from tests.mutants.mutations import Mutant, mutants
from tests.mutants.targets import TARGETS, Target

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

SECONDS_MAX = 120
EXAMPLES, STEPS = 20, 12
EARLY = (
    *("aiohttp", "aio_pika", "asyncpg", "cryptography", "hypothesis", "jwt", "lxml.etree", "prometheus_client"),
    *("pydantic_settings", "pytest_asyncio.plugin"),
)
"""What a test loads that is never changed, loaded once for all of them; the contracts are too."""


class Changed(MetaPathFinder, Loader):
    """Gives a module its changed code."""

    def __init__(self, name: str, file: Path, code: CodeType) -> None:
        self._name, self._file, self._code = name, file, code

    def find_spec(self, name: str, _path: object, _target: object = None) -> ModuleSpec | None:
        if name != self._name:
            return None
        spec = ModuleSpec(name, self, origin=str(self._file), is_package=self._file.name == "__init__.py")
        spec.has_location = True
        return spec

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)  # noqa: S102 - it is ours


@dataclass(frozen=True)
class Lent:
    """Servers that run already, and broker hosts that nobody has used."""

    port: int
    password: str
    hosts: list[str]


def borrow(lent: Lent) -> None:
    """Have the tests of this process use servers that run already."""
    from local_stack import testing
    from local_stack.postgres import PostgresServer

    class Borrowed(testing.Servers):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder)
            self._postgres = PostgresServer(folder / "lent", password=lent.password, port=lent.port)
            self._unused_hosts = list(lent.hosts)

        def stop(self) -> None:
            self._loop.close()

    testing.Servers = Borrowed  # type: ignore[misc]


def draw_few(settings: Any) -> None:
    """Hypothesis draws few examples, the same each time, also where a test asks for many."""
    usual = settings.__init__

    def few(self: Any, *parents: Any, **given: Any) -> None:
        for name, most in (("max_examples", EXAMPLES), ("stateful_step_count", STEPS)):
            if isinstance(given.get(name), int):
                given[name] = min(given[name], most)
        usual(self, *parents, **given)

    settings.__init__ = few
    settings.register_profile(
        "mutants", max_examples=EXAMPLES, stateful_step_count=STEPS, derandomize=True, database=None, deadline=None
    )
    settings.load_profile("mutants")


def run(target: Target, code: CodeType, servers: Lent | None) -> int:
    """The status of the tests, in this process, which is of no other use afterwards."""
    import pytest
    from hypothesis import settings

    sys.meta_path.insert(0, Changed(target.module, ROOT / target.file, code))
    if servers:
        borrow(servers)
    draw_few(settings)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    words = ["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin"]
    if not servers:  # rules are pure: their tests want nothing of the folders above
        words += ["--confcutdir", str((ROOT / target.tests[0]).parent)]
    if target.only:
        words += ["-k", target.only]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        status = pytest.main([*words, *(str(ROOT / test) for test in target.tests)])
    if os.environ.get("SHOW"):
        sys.stdout.write(out.getvalue())
    return int(status)


def outcome(target: Target, mutant: Mutant | None, servers: Lent | None) -> str:
    """``killed``, ``survived`` or ``late`` (which is noticed too), from a process of its own."""
    source = (ROOT / target.file).read_text(encoding="utf-8")
    tree = mutant.tree if mutant else source
    try:
        code = compile(tree, str(ROOT / target.file), "exec")
    except (SyntaxError, ValueError):
        return "killed"
    pid = os.fork()
    if pid == 0:
        os.setsid()
        status = 70
        with contextlib.suppress(BaseException):
            status = run(target, code, servers)
        sys.stdout.flush()
        os._exit(status)
    give_up = time.monotonic() + SECONDS_MAX
    while time.monotonic() < give_up:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return "survived" if os.waitstatus_to_exitcode(status) == 0 else "killed"
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "late"


class Lender:
    """The servers, started when the first target wants them."""

    def __init__(self) -> None:
        self._program: subprocess.Popen[str] | None = None

    def lend(self, payload: str) -> Lent | None:
        """What a run may use; nothing for tests that use nothing."""
        if not payload:
            return None
        if self._program is None:
            command = [sys.executable, str(HERE / "lend.py")]
            self._program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(f"{payload}\n")
        self._program.stdin.flush()
        return Lent(**json.loads(self._program.stdout.readline()))

    def stop(self) -> None:
        """End them."""
        if self._program:
            self._program.communicate()


def survivors(target: Target, lender: Lender) -> Iterator[tuple[str, Mutant]]:
    """Try every mutant of a target; the first thing is that its tests pass on what is not changed."""
    if (found := outcome(target, None, lender.lend(target.servers))) != "survived":
        raise SystemExit(f"{target.file}: the tests fail on the module as it is ({found})")
    for mutant in mutants((ROOT / target.file).read_text(encoding="utf-8")):
        if mutant.says not in target.equivalent:
            yield outcome(target, mutant, lender.lend(target.servers)), mutant


def main(words: list[str]) -> int:
    for name in (*EARLY, *(each.name for each in pkgutil.walk_packages(contracts.__path__, "contracts."))):
        importlib.import_module(name)
    os.chdir(ROOT)
    report, lender = ROOT / "build" / "mutants", Lender()
    report.mkdir(parents=True, exist_ok=True)
    left = 0
    try:
        for target in TARGETS:
            if words and not any(word in target.file for word in words):
                continue
            counts, began, lines = {"killed": 0, "late": 0, "survived": 0}, time.monotonic(), []
            for found, mutant in survivors(target, lender):
                counts[found] += 1
                if found == "survived":
                    lines.append(f"{target.file}:{mutant.line}: {mutant.says}")
                    print(f"survived  {lines[-1]}", flush=True)
            left += len(lines)
            tally = ", ".join(f"{count} {name}" for name, count in counts.items())
            tally += f", {len(target.equivalent)} equivalent" if target.equivalent else ""
            print(f"{target.file}: {tally}, {time.monotonic() - began:.0f} s", flush=True)
            facts = {"file": target.file, **counts, "survivors": lines}
            (report / f"{target.module}.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1))
    finally:
        lender.stop()
    return 1 if left else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
