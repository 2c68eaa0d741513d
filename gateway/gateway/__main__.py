"""``python -m gateway``"""

from chassis.command import Service, main
from gateway.app import build
from gateway.settings import NAME, Settings

SERVICE = Service(NAME, Settings, build)

if __name__ == "__main__":
    main(SERVICE)
