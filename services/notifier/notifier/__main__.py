"""``python -m notifier [serve | migrate | parked …]``"""

from chassis.command import Service, main
from notifier.app import build
from notifier.listeners import listeners
from notifier.settings import MIGRATIONS, NAME, Settings
from notifier.store.vitals import VITALS

SERVICE = Service(NAME, Settings, build, MIGRATIONS, listeners, vitals=VITALS)

if __name__ == "__main__":
    main(SERVICE)
