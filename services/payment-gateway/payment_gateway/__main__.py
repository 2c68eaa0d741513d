"""``python -m payment_gateway [serve | migrate | parked …]``"""

from chassis.command import Service, main
from payment_gateway.app import build
from payment_gateway.listeners import listeners
from payment_gateway.settings import MIGRATIONS, NAME, Settings
from payment_gateway.store.vitals import VITALS

SERVICE = Service(NAME, Settings, build, MIGRATIONS, listeners, vitals=VITALS)

if __name__ == "__main__":
    main(SERVICE)
