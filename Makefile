# Everything a newcomer types. Needs python3 (3.11 or later, with venv) and make; the rest is fetched into .venv/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What serving needs is installed without what developing needs, which is four times as large.
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
# What the pages at /app load: the stamp that npm leaves. Without a network everything else works all the same.
WEB := web/node_modules/.package-lock.json

# What a save is looked for in; files that are no Python count as well.
WATCHED := run.py config statemachine rdchat handlers web tests pyproject.toml

# With hashes, for every platform, and without addresses of indexes.
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header

.DEFAULT_GOAL := help
.PHONY: help run web test coverage mutants test-hours security supply sbom advisories secrets watch demo sandbox browser chaos-timers bench-messages bench-timers bench-size bench-ably bench-attackers bench-reading bench-pages e2e screenshots check lint types imports hooks map docs lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: $(READY) $(WEB) ## install what is missing and serve on the embedded default
	@exec $(BIN)/python run.py serve

test: $(READY_DEV) $(WEB) ## install what is missing and run the complete test suite, or what ARGS says
	@$(BIN)/python -m pytest $(or $(ARGS),-n 4)

coverage: $(READY_DEV) $(WEB) ## the complete test suite, with what it covers; fails below the floor in pyproject.toml
	@$(BIN)/python -m pytest --cov --cov-report=term $(or $(ARGS),-n 4)

mutants: $(READY_DEV) ## change what must not be wrong and see that tests notice (ARGS="engine tokens"; --again: survivors)
	@$(BIN)/python -m tests.mutants $(ARGS)

security: supply $(WEB) ## supply, then attack the service in every way that tests know, also beside people who chat
	@$(BIN)/python -m pytest tests/security $(or $(ARGS),-n 2)
	@$(BIN)/python -m benchmarks.attackers --quick

supply: sbom secrets advisories ## the three below: what is served, keys left lying about, known vulnerabilities

sbom: $(READY_DEV) ## the bill of materials of what is served, as CycloneDX: build/sbom/rdchat.cdx.json
	@$(BIN)/python -m tools.supply.sbom build/sbom/rdchat.cdx.json

secrets: $(READY_DEV) ## look for keys and passwords in every commit, and in what is not committed (ARGS=--strict)
	@$(BIN)/python -m tools.supply.leaked_secrets $(if $(filter --strict,$(ARGS)),--strict)

advisories: $(READY_DEV) ## known vulnerabilities of all that is pinned (ARGS=--strict: fail where none can be asked)
	@$(BIN)/python -m tools.supply.advisories $(if $(filter --strict,$(ARGS)),--strict)

watch: $(READY_DEV) $(WEB) ## run tests again at each save (ARGS=tests/unit/test_engine.py; else all of tests/unit)
	@exec $(BIN)/watchfiles --verbosity warning --sigint-timeout 10 "$(BIN)/python -m pytest $(or $(ARGS),tests/unit)" $(WATCHED)

e2e: $(READY_DEV) web browser ## the pages in a real browser: sessions, faults, keyboard, screen readers (ARGS=-x)
	@CI=true $(BIN)/python -m pytest tests/browser $(or $(ARGS),-n 2)

screenshots: $(READY_DEV) web browser ## take the pictures of the pages that README and docs show (three minutes)
	@fc-list | grep -qi emoji || { apt-get update -qq && apt-get install -qq -y --no-install-recommends fonts-noto-color-emoji; }
	@$(BIN)/python -m tests.screenshots

test-hours: $(READY_DEV) ## what books by wall time, at every hour of a day and around the calendar's ends (ARGS="01:00 23:00")
	@command -v cc >/dev/null || { apt-get update -qq && apt-get install -qq -y --no-install-recommends gcc libc6-dev; }
	@$(BIN)/python -m tests.hours $(ARGS)

browser: ## install Chromium by apt if no browser is there: the tests want a real one
	@command -v chromium || command -v chromium-browser || command -v google-chrome || { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; }

web: $(WEB) ## install what the pages at /app load, by npm

demo: $(READY) ## one whole session in about a minute, with the genuine Ably SDK
	@exec $(BIN)/python run.py demo

sandbox: $(READY) $(WEB) ## short sessions to try by hand: tokens, a session about to start, lines to paste (ARGS=--help)
	@exec $(BIN)/python run.py sandbox $(ARGS)

chaos-timers: $(READY_DEV) ## ten minutes of faults while thousands of timers fall due (ARGS="--minutes 2 --seed 7")
	@exec $(BIN)/python -m tests.chaos.storm $(ARGS)

bench-messages: $(READY_DEV) ## messages beside bare aiohttp and NestJS: rates, delivery, pressure, growth (ten minutes)
	@$(BIN)/python -m benchmarks.messages --write

bench-reading: $(READY_DEV) ## reading beside NestJS - history, sessions, unread counts, slots -, receipts, bookings (six minutes)
	@$(BIN)/python -m benchmarks.reading --write

bench-timers: $(READY_DEV) ## the timers beside seven other libraries, then their whole effect (under ten minutes)
	@$(BIN)/python -m benchmarks.timers
	@$(BIN)/python -m benchmarks.opening --write
	@$(BIN)/python -m benchmarks.opening --split --write

bench-size: $(READY_DEV) ## a million pending sessions (about ten minutes)
	@$(BIN)/python -m benchmarks.size --days 30 --write
	@$(BIN)/python -m benchmarks.size --days 1 --write

bench-ably: $(READY_DEV) ## the local Ably endpoint: 2,000 subscribers, 200,000 messages (two and a half minutes)
	@$(BIN)/python -m benchmarks.ably --write

bench-attackers: $(READY_DEV) ## attackers beside people who chat, and what those notice of them (four minutes)
	@$(BIN)/python -m benchmarks.attackers --write

bench-pages: $(READY_DEV) web browser ## the pages in Chromium on a slowed processor: first screen, typing, a long chat (one minute)
	@$(BIN)/python -m benchmarks.pages --write

check: lint types imports ## what continuous integration runs beside the tests

lint: $(READY_DEV) ## ruff, every rule on
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(READY_DEV) ## mypy --strict
	@$(BIN)/mypy

imports: $(READY_DEV) ## who may import whom
	@$(BIN)/lint-imports

hooks: $(READY_DEV) ## let git run these checks before each commit, and look at its subject
	@$(BIN)/prek install

map: ## the folders of the project, as a table of contents
	@$(PYTHON) tools/map.py

docs: $(READY) ## regenerate the pages that come from code
	@$(BIN)/python run.py diagram --format markdown > docs/state-machine.md
	@$(BIN)/python run.py settings --example > config/rdchat.env.example
	@$(BIN)/python run.py settings --markdown --page README.md > README.md.new && mv README.md.new README.md
	@$(BIN)/python tools/map.py CONTRIBUTING.md

lock: $(READY_DEV) ## resolve both lock files, keeping the pins that still fit (ARGS=--upgrade: none)
	@$(COMPILE) $(ARGS) pyproject.toml -o requirements.lock
	@$(COMPILE) $(ARGS) --constraints requirements.lock --group dev -o requirements-dev.lock

clean: ## remove the virtual environment, npm packages and caches (never the data)
	rm -rf $(VENV) build web/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .mutants

# pip checks every hash; nothing outside the lock files is installed.
$(READY): requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found. Try: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "rdchat needs Python 3.11 or later; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) tools/set_up.py $(VENV) requirements.lock
	@touch $@

$(READY_DEV): requirements-dev.lock $(READY)
	@$(PYTHON) tools/set_up.py $(VENV) requirements-dev.lock
	@touch $@

# With the npm that is there, else with one that is fetched for it. What it could not do, it says; `run` goes on.
$(WEB): web/package-lock.json | $(READY)
	@$(PYTHON) tools/set_up_web.py web $(VENV) requirements-dev.lock
