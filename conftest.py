"""What every test may ask for. The packages are imported first: a folder at the root has the name of each of them."""

from hypothesis import HealthCheck, settings

import chassis
import contracts
import documents
import gateway

pytest_plugins = ["chassis.testing", "local_stack.testing"]

assert all(package.__file__ for package in (chassis, contracts, documents, gateway)), "run `make env` first"

# No test asserts how long something takes: of examples, neither one that runs long nor many that are drawn slowly.
settings.register_profile("preau", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("preau")
