# Préau. `make run` starts the whole portal here, `make test` checks everything; both begin with Python 3.11 or later.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
SERVICES := auth planning billing payment-gateway notifier
PROGRAMS := $(SERVICES) gateway local-stack bank-simulator
MEMBERS := contracts chassis documents gateway deploy/local deploy/bank-simulator $(SERVICES:%=services/%)
LOCKS := deploy/requirements
RUNNING := .venv/.running
READY := .venv/.development

.PHONY: help machine run reset bench bench-growth chaos test lint types house domain lock env clean composed check drills restore-drill upgrade-drill sbom screenshots guide asyncapi openapi configuration alerts dashboards transitions access security dependencies load mutants

help:  ## what can be done here
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

env: $(READY)  ## the virtual environment for development, from the lock

$(RUNNING): $(LOCKS)/running.txt $(MEMBERS:%=%/pyproject.toml)
	@deploy/local/bootstrap "$(PYTHON)" running $(MEMBERS)

$(READY): $(LOCKS)/development.txt $(MEMBERS:%=%/pyproject.toml)
	@deploy/local/bootstrap "$(PYTHON)" development $(MEMBERS)

run: $(RUNNING)  ## start the portal on this machine
	@$(BIN)/python -m local_stack run

reset: $(RUNNING)  ## forget what `make run` keeps
	@$(BIN)/python -m local_stack reset

lock:  ## renew the locks from the pyproject files
	$(BIN)/uv lock -q --upgrade
	for p in $(PROGRAMS); do $(BIN)/uv export -q --frozen --package preau-$$p --no-dev --no-emit-workspace \
	  --no-header --no-annotate -o $(LOCKS)/$$p.txt >/dev/null; done
	$(BIN)/uv export -q --frozen --all-packages --no-dev --group install --no-emit-workspace --no-header --no-annotate \
	  -o $(LOCKS)/running.txt >/dev/null
	$(BIN)/uv export -q --frozen --all-packages --all-groups --no-emit-workspace --no-header --no-annotate \
	  -o $(LOCKS)/development.txt >/dev/null

TYPED := chassis contracts documents auth planning billing payment_gateway notifier gateway local_stack bank_simulator

machine: $(READY)  ## what this machine lacks for work and tests, installed or told of
	@$(BIN)/python -m local_stack.packages development

check: lint types house domain  ## what needs no server: lint, types, house rules, pure tests

test: machine lint types house  ## lint, types, house rules, and every test but the drills, on real parts
	@$(BIN)/pytest -m "not drill" -n 2 --dist loadfile --no-loadscope-reorder --durations 20

drills: machine  ## upgrade, restore, a short day of chaos, long state machines, fuzzers
	@$(BIN)/pytest -m drill -n 2 --dist loadfile --no-loadscope-reorder --durations 20

lint: $(READY)  ## style and format
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .

types: $(READY)  ## mypy, strict
	@$(BIN)/mypy $(TYPED:%=-p %)

house: $(READY)  ## who may import whom, which files a service has, how large its pieces are, links to decisions
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m tools.house

domain: $(READY)  ## the pure tests alone
	@$(BIN)/pytest contracts services/*/tests/domain documents -q

asyncapi: $(READY)  ## write docs/asyncapi.yaml from the contracts
	@$(BIN)/python -m tools.asyncapi docs/asyncapi.yaml

openapi: $(READY)  ## write docs/openapi.json from the public API's table and the contracts
	@$(BIN)/python -c 'from gateway.api.openapi import DOCUMENT; print(DOCUMENT.decode())' > docs/openapi.json

configuration: $(READY)  ## write docs/configuration.md, the chart's schema and compose's settings from the classes that check the settings
	@$(BIN)/python -m tools.configuration docs/configuration.md
	@$(BIN)/python -m tools.chart_settings deploy/helm/preau/values.schema.json
	@$(BIN)/python -m tools.compose_settings deploy/compose/settings.yml

alerts: $(READY)  ## write deploy/observability/alerts.yaml from the vitals of the services
	@$(BIN)/python -m tools.alerts deploy/observability/alerts.yaml

dashboards: $(READY)  ## write deploy/observability/dashboards for Grafana
	@$(BIN)/python -m tools.dashboards deploy/observability/dashboards

transitions: $(READY)  ## draw the payment's state machine into docs/payments.md from its table
	@$(BIN)/python -m tools.transitions docs/payments.md

security: $(READY)  ## everything that is looked at for safety, at length, in one table (an hour)
	@$(BIN)/python -m tests.security.report

dependencies: $(READY)  ## write docs/dependencies.md: what the images are made of, and what is known of it today
	@$(BIN)/python -m tools.dependencies docs/dependencies.md

access: $(READY)  ## write docs/access.md: who may open which door
	@RENEW=1 $(BIN)/pytest tests/security -q -k readable

screenshots: $(READY)  ## renew the README's pictures from the running product (to see every page: FOLDER=…)
	@$(BIN)/python -m tools.screenshots $(FOLDER)

guide: $(READY)  ## renew the pictures of the parents' guide from the running product
	@$(BIN)/python -m tools.guide

composed: $(READY)  ## the browser's story against docker-compose.yml, really built and run
	@deploy/compose/story

restore-drill: $(READY)  ## databases and broker destroyed, restored from a backup, and compared
	@$(BIN)/pytest tests/faults/test_restore.py -q

sbom: $(READY)  ## each program's bill of materials (CycloneDX), from its lock, into sbom/
	@mkdir -p sbom
	@for p in $(PROGRAMS); do $(BIN)/python tools/sbom.py $$p "$$(git describe --always --dirty)" $(LOCKS)/$$p.txt > sbom/$$p.cdx.json; done

upgrade-drill: $(READY)  ## every replica of every program replaced, twice, while parents use the portal
	@ROUNDS=4 $(BIN)/pytest tests/faults/test_upgrade.py -q

chaos: $(READY)  ## thousands of parents while everything breaks, then what must hold (PARENTS=… MINUTES=… SEED=…)
	@$(BIN)/python -m tests.chaos

bench: $(READY)  ## every figure, each beside its floor, in one table; kept in build/figures
	@$(BIN)/python -m tests.load.bench

bench-growth: $(READY)  ## the key figures for towns of 1,000 to 200,000 households, and of billing after ten years
	@$(BIN)/python -m tests.load.bench growth
	@$(BIN)/python -m tests.load.ten_years

load: $(READY)  ## an opening, an evening of invoices and a normal day, against a whole portal (in full: PARENTS=2500 MINUTES=15)
	@$(BIN)/python -m tests.load.scenarios

mutants: $(READY)  ## change the rules one small thing at a time: which change does no test notice? (MODULES="tariffs ledger")
	@$(BIN)/python -m tests.mutants $(MODULES)

clean:  ## forget the virtual environment and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
