"""What no wheel ships, and Debian's packages do: found on this machine, else installed when that is allowed.

``python -m local_stack.packages running | development`` says everything that is missing in one message and installs it.
It needs the standard library alone, because ``deploy/local/bootstrap`` runs it before there is a virtual environment.
"""

import contextlib
import ctypes
import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_stack.saying import say

DOVECOT = Path("/usr/sbin/dovecot")
DPKG = Path("/var/lib/dpkg")
RABBITMQ_PLACES = (Path("/usr/lib/rabbitmq/bin/rabbitmq-server"), Path("/usr/local/lib/rabbitmq/bin/rabbitmq-server"))
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300")
INSTALL = """
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' >"$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
"$@"
"""
"""Run apt without any service of a package being started, which is what a policy of 101 says."""


class MissingProgramError(Exception):
    """Something is missing and may not be installed from here; says the ways out."""


@dataclass(frozen=True)
class Package:
    """A package of Debian, what it is needed for, and how to tell that this machine has that."""

    name: str
    purpose: str
    is_there: Callable[[], bool]


def _on_path(*names: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(name, path=PATH) for name in names)


def _loads(library: str) -> Callable[[], bool]:
    def is_there() -> bool:
        try:
            ctypes.CDLL(library)
        except OSError:
            return False
        return True

    return is_there


def _chromium_found() -> Path | None:
    return next((Path(found) for name in CHROMIUM_NAMES if (found := shutil.which(name, path=PATH))), None)


def _rabbitmq_found() -> Path | None:
    for place in RABBITMQ_PLACES:
        if place.exists():
            return place
    on_path = shutil.which("rabbitmq-server", path=PATH)
    if on_path is None:
        return None
    real = Path(on_path).resolve()
    return real if real.name == "rabbitmq-server" else None


VENV = Package(
    "python{}.{}-venv".format(*sys.version_info), "Python's venv", lambda: bool(importlib.util.find_spec("ensurepip"))
)
RABBITMQ = Package("rabbitmq-server", "RabbitMQ", lambda: _rabbitmq_found() is not None)
CHROMIUM = Package("chromium", "a browser", lambda: _chromium_found() is not None)
POPPLER = Package("poppler-utils", "reading PDFs", _on_path("pdftoppm", "pdftotext", "pdfinfo"))
DOVECOT_IMAP = Package("dovecot-imapd", "an IMAP server", DOVECOT.exists)
PROMETHEUS = Package("prometheus", "promtool", _on_path("promtool"))
OPENSSL = Package("openssl", "signatures by another program", _on_path("openssl"))
AGE = Package("age", "encrypted backups", _on_path("age", "age-keygen"))
LIBATOMIC = Package("libatomic1", "Playwright's node", _loads("libatomic.so.1"))

RUNNING = (VENV, RABBITMQ)
DEVELOPMENT = (*RUNNING, CHROMIUM, POPPLER, DOVECOT_IMAP, PROMETHEUS, OPENSSL, LIBATOMIC, AGE)
WANTED = {"running": RUNNING, "development": DEVELOPMENT}


def wanted(purpose: str) -> tuple[Package, ...]:
    """The packages of a purpose; running with a broker of one's own (``AMQP_URL``) needs no RabbitMQ."""
    has_broker = purpose == "running" and os.environ.get("AMQP_URL")
    return tuple(each for each in WANTED[purpose] if not (has_broker and each is RABBITMQ))


def require(*packages: Package) -> None:
    """Install what is missing of ``packages``; ``MissingProgramError``, which names all of it, when that fails."""
    missing = [each for each in packages if not each.is_there()]
    if not missing:
        return
    told = ", ".join(f"{each.name} ({each.purpose})" for each in missing)
    names = [each.name for each in missing]
    prefix = _administrator()
    if prefix is None:
        raise MissingProgramError(
            f"this machine lacks {told}. Two ways out: install what is missing "
            f"(Debian and Ubuntu: sudo apt-get install {' '.join(names)}), "
            "or run the whole portal in containers with `docker compose up`."
        )
    say(f"this machine lacks {told}; installing with apt-get")
    with _alone():
        left = [each.name for each in missing if not each.is_there()]
        if left:
            _apt_install(prefix, left)
    still = [each.name for each in missing if not each.is_there()]
    if still:
        raise MissingProgramError(f"apt-get installed {', '.join(still)}, but what they bring was not found")


def rabbitmq_server() -> Path:
    """The broker's own start script (not the wrapper of the system service), installed if need be."""
    require(RABBITMQ)
    found = _rabbitmq_found()
    assert found is not None, "required above"
    return found


def age() -> None:
    """The program that encrypts backups, and the one that draws its keys; installed if need be."""
    require(AGE)


def chromium() -> Path:
    """A Chromium to drive, and the library that Playwright's node wants; installed if need be."""
    require(CHROMIUM, LIBATOMIC)
    found = _chromium_found()
    assert found is not None, "required above"
    return found


def pdf_tools() -> Path:
    """Poppler's pdftoppm, with pdftotext and pdfinfo beside it, installed if need be."""
    require(POPPLER)
    return Path(shutil.which("pdftoppm", path=PATH) or "/usr/bin/pdftoppm")


def dovecot() -> Path:
    """An IMAP server for the tests, installed if need be."""
    require(DOVECOT_IMAP)
    return DOVECOT


def promtool() -> Path:
    """Prometheus's own checker of rules, installed if need be."""
    require(PROMETHEUS)
    return Path(shutil.which("promtool", path=PATH) or "/usr/bin/promtool")


def _administrator() -> list[str] | None:
    """What goes before a command to run it as root, or None when this user may not, or has no apt-get."""
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if not shutil.which("apt-get") or (prefix and not shutil.which("sudo")):
        return None
    allowed = subprocess.run([*prefix, "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return prefix if allowed.returncode == 0 else None


def _apt_install(prefix: list[str], names: list[str]) -> None:
    """Fetch first, which may be interrupted; then unpack and configure, which must not be."""
    install = ["install", "-y", "-q", "--no-install-recommends"]
    with tempfile.TemporaryDirectory(prefix="preau-apt-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o1777)  # apt works as a user of its own; interrupted, it leaves files here
        apt = ["env", f"TMPDIR={folder}", *APT]
        _run(prefix, [*apt, "update", "-q"])
        _run(prefix, [*apt, *install, "--download-only", *names])
        with _signals_wait():
            _run(prefix, ["sh", "-ec", INSTALL, "sh", *apt, *install, "--no-download", *names], group=0)


def _run(prefix: list[str], command: list[str], *, group: int | None = None) -> None:
    """Run a command to its end; an interruption ends it too, and is raised once it has ended.

    With ``group=0`` it has a process group of its own, which Ctrl-C in the terminal does not reach.
    """
    with subprocess.Popen(
        [*prefix, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=group,
    ) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            subprocess.run([*prefix, "sh", "-c", f"kill -INT {process.pid}"], check=False)
            process.communicate()
            raise
    if process.returncode:
        words = " ".join(command[command.index("apt-get") :])
        raise MissingProgramError(f"{words} failed:\n{output[-2000:].strip()}")


def _heeded() -> list[signal.Signals]:
    """The signals that stop a command, without those that whoever started it has told it to ignore, as nohup does."""
    stopping = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return [number for number in stopping if signal.getsignal(number) != signal.SIG_IGN]


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Hold back Ctrl-C and the like, saying why; they take effect at the end of the block."""
    held: list[int] = []

    def hold(number: int, _frame: object) -> None:
        held.append(number)
        say("stopping as soon as dpkg has finished: what it unpacks must not be left half done")

    try:
        before = {number: signal.signal(number, hold) for number in _heeded()}
    except ValueError:  # not the main thread, which alone receives signals
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for each in held:
            signal.raise_signal(each)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One installation at a time: two of them would find apt's lists locked."""
    folder = os.open(DPKG, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def main(arguments: Sequence[str]) -> int:
    """Make this machine fit for a purpose."""
    if len(arguments) != 1 or arguments[0] not in WANTED:
        sys.stderr.write(f"usage: packages {' | '.join(WANTED)}\n")
        return 2
    for number in _heeded():
        signal.signal(number, signal.default_int_handler)
    try:
        require(*wanted(arguments[0]))
    except MissingProgramError as missing:
        sys.stderr.write(f"préau: {missing}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
