"""``python -m planning [serve | migrate | parked …]``"""

from chassis.command import Service, main
from planning.app import build
from planning.jobs import prepare
from planning.listeners import listeners
from planning.settings import MIGRATIONS, NAME, Settings
from planning.store.vitals import VITALS

SERVICE = Service(NAME, Settings, build, MIGRATIONS, listeners, vitals=VITALS, prepare=prepare)

if __name__ == "__main__":
    main(SERVICE)
