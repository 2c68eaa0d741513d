"""The registered schools, from which every form chooses."""

from aiohttp import web

from contracts.api.schools import SchoolList, SchoolView
from gateway.clients.services import SERVICES


async def list_schools(request: web.Request, session: str) -> tuple[SchoolView, ...]:
    """The schools of the town, by name."""
    return (await request.app[SERVICES].call(session, "auth", "/schools", SchoolList)).schools
