"""What planning needs to know at start."""

from pathlib import Path
from typing import Literal

from aiohttp import web

from chassis.settings import ServiceSettings

NAME = "planning"
MIGRATIONS = Path(__file__).parent.parent / "migrations"


class Settings(ServiceSettings):
    """``SCHOOL_ZONE`` is that of the school holidays; the subdivision adds local public holidays (57, 67, 68)."""

    school_zone: Literal["A", "B", "C"]
    holiday_subdivision: str | None = None


SETTINGS = web.AppKey("settings", Settings)
