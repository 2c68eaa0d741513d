"""``python -m payment_gateway [serve | migrate | parked …]``"""

from chassis.command import Service, main
from payment_gateway.app import build
from payment_gateway.consumers import consumers
from payment_gateway.settings import MIGRATIONS, NAME, Settings
from payment_gateway.store.health_metrics import HEALTH_METRICS

SERVICE = Service(NAME, Settings, build, MIGRATIONS, consumers, health_metrics=HEALTH_METRICS)

if __name__ == "__main__":
    main(SERVICE)
