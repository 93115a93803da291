# `make` alone lists what there is to do. Works with any POSIX sh and GNU make from 3.81 (macOS) on.
SHELL := /bin/sh
VENV := .venv/bin

# `sam` counts its uses unless told not to, and wants a region even where it calls nothing.
export SAM_CLI_TELEMETRY := 0
SAM := AWS_DEFAULT_REGION=us-east-1 $(VENV)/sam

# The processor that the layer is built for, which `sam deploy` must be told as well: x86_64 or arm64.
ARCHITECTURE ?= x86_64
export ARCHITECTURE

.DEFAULT_GOAL := help
.PHONY: help run logs replay test soak bench docs check format build lock sbom audit scan sam-local sam-env migrate clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Settings of make run, for example make run SEED=7 REVERT_RATE=0.2:"
	@echo "  SEED REVERT_RATE DROP_RATE QUOTE_DELAY_MS LANDING_MIN_MS LANDING_MAX_MS ORDERS_PER_WORKER"
	@echo "  FAULTS=on PORT POSTGRES_PORT; and PYTHON, which .venv is made with"

run: .venv/local ## Start the whole stack here, show a sample order, stay up until Ctrl-C
	@$(VENV)/python -m local run

logs: .venv/local ## Follow what the functions of the running stack log
	@$(VENV)/python -m local logs

replay: .venv/local ## Give the running stack's failed orders a fresh set of attempts
	@$(VENV)/orders dlq replay

sam-local: .venv/dev ## Serve the HTTP API on port 3000 from Lambda's containers (needs Docker), the rest as make run
	@$(VENV)/python -m local.sam_local serve

sam-env: .venv/dev ## Let containers of a sam local of your own reach the stack of make run, and say how
	@$(VENV)/python -m local.sam_local env

# Two files at a time, as most tests wait for a stack most of the time.
test: .venv/dev ## Run all tests; ARGS are pytest's: make test ARGS="-k replay"
	$(VENV)/python -m pytest -n 2 --dist loadfile $(ARGS)

soak: .venv/dev ## Look for a way to break the protocol for as long as half an hour
	HYPOTHESIS_PROFILE=soak $(VENV)/python -m pytest tests/unit/test_invariants.py

bench: .venv/dev ## Measure speed and cost, and show them; ARGS="--only cost" for less, "--quick" for a trial
	@$(VENV)/python -m benchmarks run $(ARGS)

docs: .venv/dev ## Bring docs/openapi.json, asyncapi.yaml and collection/ up to date with the code
	@PYTHONPATH=layers/common $(VENV)/python -m docs.generate

check: .venv/dev ## Lint, types and template; changes nothing
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy
	$(SAM) validate --lint

format: .venv/dev ## Format the code and sort its imports
	$(VENV)/ruff check --fix
	$(VENV)/ruff format

build: .venv/dev ## Build what `sam deploy` uploads, for ARCHITECTURE=x86_64 or arm64, and say how large it is
	$(SAM) build --parameter-overrides Architecture=$(ARCHITECTURE)
	@$(VENV)/python -m local.artifacts .aws-sam/build

lock: .venv/release ## Pin what the layer needs, with hashes, after a change of requirements.in
	cd layers/common && $(abspath $(VENV))/uv pip compile --quiet --python-version 3.13 --python-platform linux \
		--generate-hashes --no-annotate --custom-compile-command "make lock" requirements.in --output-file requirements.txt

sbom: .venv/release ## List what the layer is made of, as CycloneDX: .local/sbom.json
	@mkdir -p .local
	$(VENV)/cyclonedx-py requirements --output-file .local/sbom.json layers/common/requirements.txt

audit: .venv/release ## Look for known vulnerabilities of what the layer is made of
	$(VENV)/pip-audit --strict --require-hashes --disable-pip --requirement layers/common/requirements.txt

scan: .venv/scan ## Hold the template to the rules of Checkov, but for those in .checkov.yaml
	@mkdir -p .local
	$(VENV)/python -m tests.infrastructure.processed > .local/processed.json
	$</bin/checkov --config-file .checkov.yaml --file .local/processed.json

migrate: .venv/local ## Apply the SQL migrations: make migrate DATABASE_URL=postgresql://…
	@PYTHONPATH=layers/common $(VENV)/python -m order_engine.runtime.migrate_database

clean: ## Remove the virtual environment, caches, builds and the local order history
	rm -rf .venv .local .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Two steps, as running the stack takes half of what checking it takes.
.venv/local: requirements-local.txt layers/common/requirements.in
	@sh local/venv.sh requirements-local.txt
	@touch $@

.venv/dev: requirements-dev.txt .venv/local
	@sh local/venv.sh requirements-dev.txt
	@touch $@

.venv/release: requirements-release.txt .venv/local
	@sh local/venv.sh requirements-release.txt
	@touch $@

# Beside the others, as Checkov brings another boto3.
.venv/scan: requirements-scan.txt | .venv/dev
	rm -rf $@
	$(VENV)/python -m venv $@
	$@/bin/pip install --quiet --disable-pip-version-check --requirement requirements-scan.txt
	@touch $@
