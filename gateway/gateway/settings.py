"""What the gateway needs to know at start."""

from pathlib import Path

from aiohttp import web
from pydantic import Field, FilePath, SecretStr, field_validator

from chassis.settings import EdgeSettings

NAME = "gateway"
CREST_BYTES_MAX = 200_000
CREST_KINDS = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp"}


class Settings(EdgeSettings):
    """``PUBLIC_URL`` is how browsers reach the portal; ``BANK_ORIGINS``, with spaces, where a payer may be sent.

    ``PROXIES_IN_FRONT`` is how many proxies of ours stand before the gateway: so many entries at the end of
    ``X-Forwarded-For`` are believed, and none that a browser may have written. ``TOWN_COLOUR`` and ``TOWN_CREST`` (an
    SVG, PNG or WebP file) are on every page.
    """

    planning_url: str = Field(pattern=r"^https?://")
    billing_url: str = Field(pattern=r"^https?://")
    payment_gateway_url: str = Field(pattern=r"^https?://")
    notifier_url: str = Field(pattern=r"^https?://")
    public_url: str = Field(pattern=r"^https?://[^/]+$")
    bank_origins: str = Field(pattern=r"^https?://\S+( https?://\S+)*$")
    town_name: str = Field(min_length=1, max_length=100)
    town_colour: str = Field(default="#1c6b56", pattern=r"^#[0-9a-fA-F]{6}$")
    town_crest: FilePath | None = None
    csrf_secret: SecretStr = Field(min_length=32)
    proxies_in_front: int = Field(default=0, ge=0, le=5)
    service_seconds_max: float = Field(default=12, gt=0)
    sign_in_seconds_max: float = Field(default=45, gt=0)
    api_requests_a_minute: int = Field(default=120, ge=1)

    @field_validator("town_crest")
    @classmethod
    def _is_a_small_picture(cls, path: Path | None) -> Path | None:
        if path and (path.suffix.lower() not in CREST_KINDS or path.stat().st_size > CREST_BYTES_MAX):
            raise ValueError(f"want an SVG, PNG or WebP of {CREST_BYTES_MAX} bytes at most")
        return path

    @property
    def is_met_by_clients(self) -> bool:
        return self.proxies_in_front == 0

    @property
    def public_host(self) -> str:
        """The host, with its port, that browsers know."""
        return self.public_url.partition("://")[2]

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by HTTPS."""
        return self.public_url.startswith("https://")


SETTINGS = web.AppKey("settings", Settings)
