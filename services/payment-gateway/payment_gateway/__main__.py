"""``python -m payment_gateway [serve | migrate | parked …]``"""

from chassis.command import Service, main
from payment_gateway.app import build
from payment_gateway.listeners import listeners
from payment_gateway.settings import MIGRATIONS, NAME, Settings

SERVICE = Service(NAME, Settings, build, MIGRATIONS, listeners)

if __name__ == "__main__":
    main(SERVICE)
