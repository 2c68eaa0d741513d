"""Background jobs: functions that run at an interval, or when the database notifies that there is work.

Several replicas run the same jobs: a job claims rows or takes a lock, it never assumes that it is the only one.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import structlog
from aiohttp import web

from chassis.database import DATABASE
from chassis.metrics import JOB_FAILURES
from chassis.tasks import cancel_and_wait

Run = Callable[[web.Application], Awaitable[None]]

PAUSE_AFTER_FAILURE_SECONDS_MAX = 30.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Job:
    """A function, how often it runs, and the NOTIFY channel that wakes it before its time."""

    run: Run
    seconds: float
    wake_on: str | None


class Jobs:
    """The jobs of a service; each registers itself by the decorator ``every``."""

    def __init__(self) -> None:
        self.all: list[Job] = []

    def every(self, *, seconds: float, wake_on: str | None = None) -> Callable[[Run], Run]:
        """Run the decorated function at start, then this often, or when ``wake_on`` is notified."""

        def declare(run: Run) -> Run:
            self.all.append(Job(run, seconds, wake_on))
            return run

        return declare


def use_jobs(app: web.Application, jobs: Jobs) -> None:
    """Run the jobs from start to stop; those in progress at stop are finished, or cancelled after 8 seconds."""

    async def run_all(app: web.Application) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        tasks = [asyncio.create_task(_repeat(app, job, wake, stopping)) for job, wake in wakes]
        yield
        stopping.set()
        for _job, wake in wakes:
            wake.set()
        _done, late = await asyncio.wait(tasks, timeout=8) if tasks else (set(), set())
        await cancel_and_wait(*late)

    wakes = [(job, app[DATABASE].wake_on(job.wake_on) if job.wake_on else asyncio.Event()) for job in jobs.all]
    app.cleanup_ctx.append(run_all)


async def _repeat(app: web.Application, job: Job, wake: asyncio.Event, stopping: asyncio.Event) -> None:
    pause = 1.0
    while not stopping.is_set():
        wake.clear()
        try:
            await job.run(app)
        except Exception:
            JOB_FAILURES.labels(job.run.__name__).inc()
            log.exception("job failed, trying again", job=job.run.__name__, pause_seconds=pause)
            await _wait(stopping, pause)
            pause = min(pause * 2, PAUSE_AFTER_FAILURE_SECONDS_MAX)
        else:
            pause = 1.0
            await _wait(wake, job.seconds)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), timeout=seconds)
