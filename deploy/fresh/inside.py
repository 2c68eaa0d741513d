"""The steps that ``deploy/fresh/try`` takes inside the fresh system; the standard library alone, for it has no more.

``inside.py [STEP ...] [-- PYTEST ARGUMENT ...]``: each step ends with what it found, or the whole with status 1.
"""

import contextlib
import http.cookiejar
import os
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

ORIGIN, CLONE, USER = Path("/root/origin"), Path("/root/preau"), "camille"
START_SECONDS = 900
STOP_SECONDS = 120
REST_SECONDS = 40
VENV_MIB_MAX = 350
TEST_SECONDS = 3 * 3600


class TrialError(Exception):
    """Something is not as the README says."""


def check(*, holds: bool, otherwise: str) -> None:
    if not holds:
        raise TrialError(otherwise)


def say(line: str) -> None:
    sys.stdout.write(f"try: {line}\n")
    sys.stdout.flush()


class Command:
    """A command in a process group of its own, as a terminal starts it, and what it prints."""

    def __init__(
        self, *words: str, folder: Path = CLONE, user: str | None = None, more: Mapping[str, str] | None = None
    ) -> None:
        who = pwd.getpwnam(user) if user else None
        home = {"HOME": who.pw_dir, "USER": who.pw_name} if who else {}
        self.printed, self._began = "", time.monotonic()
        self.process = subprocess.Popen(
            words,
            cwd=folder,
            env={**os.environ, **home, **(more or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            user=who.pw_uid if who else None,
            group=who.pw_gid if who else None,
            extra_groups=[] if who else None,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed += line
            sys.stdout.write(f"     | {line}")
            sys.stdout.flush()

    def says(self, wanted: str) -> None:
        """Wait for a line."""
        while wanted not in self.printed:
            check(holds=self.process.poll() is None, otherwise=f"ended with {self.process.poll()} before {wanted!r}")
            check(holds=self.seconds < START_SECONDS, otherwise=f"never said {wanted!r}")
            time.sleep(0.1)

    def ends(self, seconds: float = START_SECONDS) -> int:
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TrialError(f"has not ended after {seconds:.0f} s") from None
        self._reader.join(5)
        return status

    def interrupted(self, number: signal.Signals = signal.SIGINT) -> int:
        """Do what Ctrl-C does in a terminal: the whole group gets the signal. Its status."""
        began = time.monotonic()
        os.killpg(self.process.pid, number)
        status = self.ends(STOP_SECONDS)
        say(f"{number.name}: stopped in {time.monotonic() - began:.1f} s with status {status}")
        nothing_left()
        return status


def processes() -> dict[int, str]:
    """Every process of this system that lives, but ours and the two that started us."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found[int(folder.name)] = (folder / "comm").read_text().strip()
    return {pid: name for pid, name in found.items() if pid not in {1, os.getpid(), os.getppid()}}


def words_of(pid: int) -> list[bytes]:
    """A process's command line; none when it has ended meanwhile."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return []


def nothing_left() -> None:
    """Neither a process nor a file in a folder for temporary ones, nor half an installation of apt."""
    for _ in range(50):
        if not processes():
            break
        time.sleep(0.1)
    check(holds=not processes(), otherwise=f"still there: {processes()}")
    check(holds=not os.listdir("/tmp"), otherwise=f"left in /tmp: {os.listdir('/tmp')}")  # noqa: PTH208, S108
    check(holds=not Path("/usr/sbin/policy-rc.d").exists(), otherwise="left: /usr/sbin/policy-rc.d")
    audit = subprocess.run(["dpkg", "--audit"], capture_output=True, text=True, check=True).stdout
    check(holds=not audit, otherwise=f"dpkg is half done:\n{audit}")
    say("nothing is left")


def cloned(folder: Path = CLONE, user: str | None = None) -> None:
    if folder.exists():
        command = ["git", "-c", f"safe.directory={folder}", "-C", str(folder), "fetch", "-q", "origin", "HEAD"]
        subprocess.run(command, check=True)
        subprocess.run([*command[:5], "reset", "-q", "--hard", "FETCH_HEAD"], check=True)
    else:
        subprocess.run(["git", "clone", "-q", str(ORIGIN), str(folder)], check=True)
        if user:
            subprocess.run(["chown", "-R", f"{user}:", str(folder)], check=True)


def portal_url(printed: str) -> str:
    return str(re.findall(r"Portail\s+(\S+)", printed)[0])


def sign_in(url: str) -> None:
    """As a parent, over HTTP, with the codes that were printed."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def page(path: str, **fields: str) -> str:
        data = urllib.parse.urlencode(fields).encode() if fields else None
        with browser.open(url + path, data, timeout=30) as answer:
            text: bytes = answer.read()
        return text.decode()

    token = re.findall(r'name="form_token" value="(\w+)"', page("/connexion"))[-1]
    home = page("/connexion", identifier="demo01", secret="demo-2026-demo", form_token=token)  # noqa: S106 - printed
    check(holds="/deconnexion" in home, otherwise="a parent cannot sign in")
    say("demo01 has signed in")


def installed_mib(folder: Path) -> float:
    files = [path.lstat() for path in folder.rglob("*")]
    return sum(each.st_blocks for each in files) * 512 / 2**20


def memory() -> None:
    """What the six programs take of memory at rest: their share (PSS) and all that is in them (RSS)."""
    time.sleep(REST_SECONDS)
    programs = ("auth", "planning", "billing", "payment_gateway", "notifier", "gateway")
    pss = rss = 0
    for pid in processes():
        words = words_of(pid)
        if len(words) > 2 and words[1] == b"-m" and words[2].decode() in programs:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            pss += int(re.findall(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[0])
            rss += int(re.findall(r"^Rss:\s+(\d+)", rollup, re.MULTILINE)[0])
    say(f"six programs, idle: {pss / 1024:.0f} MiB PSS, {rss / 1024:.0f} MiB RSS")


def ready(*words: str, folder: Path = CLONE, user: str | None = None) -> Command:
    """``make run`` up to its last line, and a parent who signs in."""
    command = Command(*(words or ("make", "run")), folder=folder, user=user)
    command.says("ready in")
    say(f"the portal is ready after {command.seconds:.0f} s")
    sign_in(portal_url(command.printed))
    return command


def missing(_: list[str]) -> None:
    """A user who may install nothing is told at once of everything that is missing, before anything is fetched."""
    check(holds=not shutil.which("rabbitmq-server"), otherwise="nothing is missing any more; try it without KEEP")
    subprocess.run(["useradd", "-m", USER], check=True)
    folder = Path(f"/home/{USER}/preau")
    cloned(folder, USER)
    for target, packages in (("run", ["rabbitmq-server", "-venv"]), ("test", ["-venv", "libatomic1", "chromium"])):
        command = Command("make", target, folder=folder, user=USER)
        check(holds=command.ends(60) != 0, otherwise="made something of nothing")
        (line,) = [line for line in command.printed.splitlines() if "lacks" in line]
        check(holds=all(each in line for each in packages), otherwise="not all that is missing is said")
        check(holds=not (folder / ".venv").exists(), otherwise="something was made before")
        say(f"make {target}: told after {command.seconds:.1f} s")
    nothing_left()


def interrupts(_: list[str]) -> None:
    """Ctrl-C while apt, pip and the servers are at work stops each time, and the next start goes on."""
    cloned()
    moments = [("installing with apt-get", 1.0), ("installing with apt-get", 20.0), ("installing the locked", 3.0)]
    for line, seconds in moments[2 if shutil.which("rabbitmq-server") else 0 :]:
        command = Command("make", "run")
        command.says(line)
        time.sleep(seconds)
        check(holds=command.interrupted() != 0, otherwise="an interrupted installation says that all is well")
    check(holds=Command("make", ".venv/.running").ends() == 0, otherwise="what was interrupted is not made")
    for seconds in (0.3, 2.0, 4.0, 7.0, 11.0, 16.0, 22.0):
        command = Command("make", "run")
        time.sleep(seconds)
        command.interrupted()


def run(_: list[str]) -> None:
    """``make run`` as root in a folder that is closed to others, up to a parent who signs in, then Ctrl-C; twice."""
    cloned()
    check(holds=not CLONE.parent.stat().st_mode & 0o007, otherwise="the folder is open to others")
    for _time in range(2):
        command = ready()
        memory()
        command.interrupted()
        size = installed_mib(CLONE / ".venv")
        say(f".venv: {size:.0f} MiB")
    if not (CLONE / ".venv/.development").exists():
        check(holds=size <= VENV_MIB_MAX, otherwise=f".venv has {size:.0f} MiB")


def umask(_: list[str]) -> None:
    """The same where nothing that is made is for others (umask 077), the clone included."""
    folder = Path("/srv/closed")
    subprocess.run(["bash", "-c", f"umask 077; git clone -q {ORIGIN} {folder}"], check=True)
    ready("bash", "-c", "umask 077; exec make run", folder=folder).interrupted()
    check(holds=Command("make", "reset", folder=folder).ends() == 0, otherwise="make reset fails")


def gone(_: list[str]) -> None:
    """Nobody reads what it prints, then Ctrl-C; the terminal is closed; the next start goes on each time."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        ready("bash", "-c", "make run | sed '/ready in/q'").interrupted(number)


def killed(_: list[str]) -> None:
    """Killed (SIGKILL), its programs end by themselves; a broker that does not is ended by the next start."""
    for is_stopped in (False, True):
        ready()
        (broker,) = [pid for pid, name in processes().items() if name.startswith("beam")]
        if is_stopped:
            os.kill(broker, signal.SIGSTOP)
        for pid in processes():
            if words_of(pid)[-3:-1] == [b"local_stack", b"run"]:
                os.kill(pid, signal.SIGKILL)
        if is_stopped:
            time.sleep(5)
            check(holds=broker in processes(), otherwise="there is no orphan to try this with")
            command = ready()
            check(holds=f"(pid {broker})" in command.printed, otherwise="the orphan is not told of")
            command.interrupted()
        else:
            nothing_left()


def user(_: list[str]) -> None:
    """``make run`` as somebody without any rights, where the packages are installed."""
    folder = Path(f"/home/{USER}/preau")
    if not Path(f"/home/{USER}").exists():
        subprocess.run(["useradd", "-m", USER], check=True)
    cloned(folder, USER)
    command = ready(folder=folder, user=USER)
    command.interrupted()


def test(chosen: list[str]) -> None:
    """``make test`` as root in the closed folder, of all tests or of those that are chosen."""
    cloned()
    options = {"PYTEST_ADDOPTS": " ".join(map(shlex.quote, chosen))} if chosen else {}
    command = Command("make", "test", more=options)
    status = command.ends(TEST_SECONDS)
    say(f"make test: status {status} after {command.seconds / 60:.0f} min")
    check(holds=status == 0, otherwise="make test fails")
    nothing_left()


STEPS: dict[str, Callable[[list[str]], None]] = {
    each.__name__: each for each in (missing, interrupts, run, umask, gone, killed, user, test)
}


def main(arguments: list[str]) -> int:
    """Take the steps that are named, or all of them."""
    divider = arguments.index("--") if "--" in arguments else len(arguments)
    names, chosen = arguments[:divider] or list(STEPS), arguments[divider + 1 :]
    if unknown := set(names) - STEPS.keys():
        sys.stdout.write("\n".join(f"{name:<11} {step.__doc__}" for name, step in STEPS.items()) + "\n")
        return 0 if unknown == {"help"} else 2
    for name in names:
        say(f"{name}: {STEPS[name].__doc__}")
        try:
            STEPS[name](chosen)
        except TrialError as error:
            say(f"{name} FAILS: {error}")
            return 1
        say(f"{name}: holds")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
