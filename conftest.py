"""What every test may ask for. The packages are imported first: a folder at the root has the name of each of them."""

import chassis
import contracts
import documents
import gateway

pytest_plugins = ["chassis.testing", "local_stack.testing"]

assert all(package.__file__ for package in (chassis, contracts, documents, gateway)), "run `make env` first"
