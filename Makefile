# Everything a newcomer types. Needs python3 (3.11 or later, with venv) and make; the rest is fetched into .venv/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help run test test-hours demo browser chaos-timers bench-messages bench-timers bench-size bench-ably check lint types imports docs lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: $(READY) ## install what is missing and serve on the embedded default
	@exec $(BIN)/python run.py serve

test: $(READY) ## install what is missing and run the complete test suite, or what ARGS says
	@$(BIN)/python -m pytest $(or $(ARGS),-n 3)

test-hours: $(READY) ## what books by wall time, at every hour of a day and around the calendar's ends (ARGS="01:00 23:00")
	@command -v cc >/dev/null || { apt-get update -qq && apt-get install -qq -y --no-install-recommends gcc libc6-dev; }
	@$(BIN)/python -m tests.hours $(ARGS)

browser: ## install Chromium by apt if no browser is there: the tests want a real one
	@command -v chromium || command -v chromium-browser || command -v google-chrome || { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; }

demo: $(READY) ## one whole session in about a minute, with the genuine Ably SDK
	@exec $(BIN)/python run.py demo

chaos-timers: $(READY) ## ten minutes of faults while thousands of timers fall due (ARGS="--minutes 2 --seed 7")
	@exec $(BIN)/python -m tests.chaos.storm $(ARGS)

bench-messages: $(READY) ## messages beside bare aiohttp and NestJS: rates, delivery, pressure, growth (ten minutes)
	@$(BIN)/python -m benchmarks.messages --write

bench-timers: $(READY) ## the timers beside seven other libraries, then their whole effect (under ten minutes)
	@$(BIN)/python -m benchmarks.timers
	@$(BIN)/python -m benchmarks.opening --write
	@$(BIN)/python -m benchmarks.opening --split --write

bench-size: $(READY) ## a million pending sessions (about ten minutes)
	@$(BIN)/python -m benchmarks.size --days 30 --write
	@$(BIN)/python -m benchmarks.size --days 1 --write

bench-ably: $(READY) ## the local Ably endpoint: 2,000 subscribers, 200,000 messages (two and a half minutes)
	@$(BIN)/python -m benchmarks.ably --write

check: lint types imports ## what continuous integration runs beside the tests

lint: $(READY) ## ruff, every rule on
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(READY) ## mypy --strict
	@$(BIN)/mypy

imports: $(READY) ## who may import whom
	@$(BIN)/lint-imports

docs: $(READY) ## regenerate the pages that come from code
	@$(BIN)/python run.py diagram --format markdown > docs/state-machine.md

lock: $(READY) ## resolve the pins anew, with hashes and without index addresses
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group dev --upgrade pyproject.toml -o requirements.lock

clean: ## remove the virtual environment and caches (never the data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# pip checks every hash; nothing outside the lock file is installed.
$(READY): requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found. Try: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "rdchat needs Python 3.11 or later; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Setting up $(VENV) (once, about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@
