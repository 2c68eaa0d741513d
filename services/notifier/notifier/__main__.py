"""``python -m notifier [serve | migrate | parked …]``"""

from chassis.command import Service, main
from notifier.app import build
from notifier.consumers import consumers
from notifier.settings import MIGRATIONS, NAME, Settings
from notifier.store.health_metrics import HEALTH_METRICS

SERVICE = Service(NAME, Settings, build, MIGRATIONS, consumers, health_metrics=HEALTH_METRICS)

if __name__ == "__main__":
    main(SERVICE)
