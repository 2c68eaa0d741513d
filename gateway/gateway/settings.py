"""What the gateway needs to know at start."""

from aiohttp import web
from pydantic import Field, SecretStr

from chassis.settings import EdgeSettings

NAME = "gateway"


class Settings(EdgeSettings):
    """``PUBLIC_URL`` is how browsers reach the portal; ``BANK_ORIGINS``, with spaces, where a payer may be sent."""

    planning_url: str = Field(pattern=r"^https?://")
    billing_url: str = Field(pattern=r"^https?://")
    payment_gateway_url: str = Field(pattern=r"^https?://")
    notifier_url: str = Field(pattern=r"^https?://")
    public_url: str = Field(pattern=r"^https?://[^/]+$")
    bank_origins: str = Field(pattern=r"^https?://\S+( https?://\S+)*$")
    town_name: str = Field(min_length=1, max_length=100)
    csrf_secret: SecretStr = Field(min_length=32)
    service_seconds_max: float = Field(default=12, gt=0)

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by HTTPS."""
        return self.public_url.startswith("https://")


SETTINGS = web.AppKey("settings", Settings)
