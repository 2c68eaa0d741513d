"""What a machine lacks is said at once, and nothing that a wheel's program needs is left out."""

import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.packages import DEVELOPMENT, LIBATOMIC, RUNNING

ROOT = Path(__file__).parents[3]
SITE = Path(sys.prefix) / "lib"
ALWAYS_THERE = {
    *("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1"),
    *("ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"),  # libc6
    *("libgcc_s.so.1", "libstdc++.so.6", "libz.so.1"),  # libgcc-s1, libstdc++6, zlib1g: apt stands on them
}
"""What is on every Debian, the smallest too."""
BROUGHT = {LIBATOMIC: {"libatomic.so.1"}}
NEEDED, STRINGS = 1, 5
DYNAMIC, LOAD = 2, 1


def packages(purpose: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local_stack.packages", purpose]
    environment = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_all_that_is_missing_is_said_in_one_message_when_nothing_may_be_installed(tmp_path: Path) -> None:
    told = packages("development", PATH=str(tmp_path))  # a machine without apt-get and sudo, too
    assert told.returncode == 1
    (line,) = (told.stdout + told.stderr).splitlines()
    for package in ("chromium", "poppler-utils", "prometheus"):
        assert f"{package} (" in line
        assert re.search(rf"sudo apt-get install .*\b{package}\b", line)


def test_running_needs_nothing_that_serves_development_and_no_broker_where_there_is_one(tmp_path: Path) -> None:
    assert set(RUNNING) < set(DEVELOPMENT)
    told = packages("running", PATH=str(tmp_path), AMQP_URL="amqp://elsewhere")
    assert (told.returncode, told.stdout + told.stderr) == (0, "")


def programs() -> Iterator[tuple[Path, set[str]]]:
    """Every program and library of the environment with the names of the libraries that it wants loaded."""
    for path in SITE.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(5) == b"\x7fELF\x02":
                    yield path, wanted(path.read_bytes())


def wanted(program: bytes) -> set[str]:
    """The ``DT_NEEDED`` of a 64-bit ELF file."""
    offset, size, count = (*struct.unpack_from("<Q", program, 32), *struct.unpack_from("<HH", program, 54))[:3]
    segments = [struct.unpack_from("<IIQQQQQQ", program, offset + size * number) for number in range(count)]

    def place(address: int) -> int:
        return next(at + address - start for kind, _, at, start, _, length, *_ in segments
                    if kind == LOAD and start <= address < start + length)  # fmt: skip

    entries = [
        struct.unpack_from("<QQ", program, at + step)
        for kind, _, at, _, _, length, *_ in segments
        if kind == DYNAMIC
        for step in range(0, length, 16)
    ]
    names = [value for tag, value in entries if tag == NEEDED]
    if not names:
        return set()
    strings = place(next(value for tag, value in entries if tag == STRINGS))
    return {program[strings + name : program.index(b"\0", strings + name)].decode() for name in names}


def test_every_library_that_a_program_of_the_environment_wants_is_brought_by_the_command_that_needs_it() -> None:
    found = dict(programs())
    assert len(found) > 100
    there = {path.name for path in found} | ALWAYS_THERE
    there |= {name for package, names in BROUGHT.items() if package in DEVELOPMENT for name in names}
    missing = {str(path.relative_to(SITE)): names - there for path, names in found.items() if names - there}
    assert missing == {}


@pytest.mark.parametrize("name", ["running", "development"])
def test_a_lock_for_this_machine_has_hashes_and_no_address(name: str) -> None:
    lock = lock_of(name)
    assert lock.count("==") <= lock.count("--hash=sha256:")
    assert "://" not in lock


def lock_of(name: str) -> str:
    return (ROOT / f"deploy/requirements/{name}.txt").read_text(encoding="utf-8")


def pins(name: str) -> set[str]:
    return set(re.findall(r"^([\w.-]+==[\w.!+-]+)", lock_of(name), re.MULTILINE))


def test_the_lock_for_running_has_every_programs_and_no_tool_of_development() -> None:
    images = {each.stem for each in (ROOT / "deploy/requirements").glob("*.txt")} - {"running", "development"}
    assert len(images) == 8
    everything = set().union(*(pins(each) for each in images))
    assert everything < pins("running") < pins("development")
    names = {pin.partition("==")[0] for pin in pins("running")}
    assert not names & {"pytest", "playwright", "mypy", "ruff", "helm-python-sdk", "kubernetes-validate", "hypothesis"}
