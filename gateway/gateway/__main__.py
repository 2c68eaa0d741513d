"""``python -m gateway [serve | doctor | certificate]``"""

from chassis.command import Service, main
from gateway.app import build
from gateway.certificate import certificate
from gateway.settings import NAME, Settings

SERVICE = Service(NAME, Settings, build, commands={"certificate": certificate})

if __name__ == "__main__":
    main(SERVICE)
