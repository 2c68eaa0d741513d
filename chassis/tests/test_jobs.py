"""Jobs run at start, when the database wakes them, and go on after a failure."""

import asyncio
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from chassis.database import DATABASE, use_database
from chassis.http import application
from chassis.jobs import Jobs, use_jobs
from chassis.migrations import migrate
from chassis.settings import ServiceSettings


async def test_a_job_is_woken_by_a_commit_and_survives_its_failures(empty_database_url: str, tmp_path: Path) -> None:
    await migrate(empty_database_url, tmp_path)
    settings = ServiceSettings(
        amqp_url="amqp://unused", auth_url="http://unused", http_port=0, database_url=empty_database_url
    )
    jobs, ran = Jobs(), asyncio.Queue[int]()

    @jobs.every(seconds=3600, wake_on="work")
    async def work(_app: web.Application) -> None:
        ran.put_nowait(ran.qsize())
        if count["failures"] > 0:
            count["failures"] -= 1
            raise RuntimeError("once")

    count = {"failures": 1}
    app = application("test", settings)
    use_database(app, settings)
    use_jobs(app, jobs)
    async with TestServer(app), asyncio.timeout(60):
        await ran.get()
        await ran.get()  # the failure of the first run did not end the job
        while not ran.empty():
            ran.get_nowait()
        async with app[DATABASE].transaction() as tx:
            await tx.execute("SELECT pg_notify('work', '')")
        await ran.get()
