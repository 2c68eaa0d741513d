"""Programs we start: each in a session of its own, its output in a file, ended by its pid."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local_stack.unprivileged import RunAs

SETPRIV = shutil.which("setpriv")


@dataclass
class Program:
    """A program and how it is started; ``process`` is set while it runs.

    It does not outlive us: when we are killed, the kernel sends it ``if_we_die``.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    who: RunAs = field(default_factory=RunAs)
    folder: Path | None = None
    if_we_die: signal.Signals = signal.SIGINT
    process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.is_running and self.process else None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        """Start the program; Ctrl-C in our terminal does not reach it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *((SETPRIV, "--pdeathsig", self.if_we_die.name.removeprefix("SIG"), "--") if SETPRIV else ()),
                *self.command,
                env=dict(self.environment),
                cwd=self.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **self.who.arguments(),
            )

    async def run(self, *, seconds: float) -> int:
        """Start the program and wait for its end; its status. It is ended when that takes longer, or is cancelled."""
        await self.start()
        assert self.process is not None
        try:
            async with asyncio.timeout(seconds):
                return await self.process.wait()
        finally:
            await self.kill()

    async def stop(self, *, signal_number: int = signal.SIGTERM, seconds: float = 20) -> None:
        """Ask the program to end, and end it by force when it does not in time."""
        if not self.is_running or self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal_number)
        try:
            await asyncio.wait_for(self.process.wait(), timeout=seconds)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End the program at once (SIGKILL), its children of the same session too."""
        if self.process is None or self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()

    def pause(self) -> None:
        """Stop it where it is, its children of the same session too, until it goes on."""
        self._signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on after a pause."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        if pid := self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)

    def tail(self, lines: int = 20) -> str:
        """The last lines of its output."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])
