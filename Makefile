# LesionLens: `make` alone lists what can be done.

PYTHON ?= python3.11
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
PIP_SILENT := After “Installing collected packages” pip is silent for half of that.

# This is a developer's own machine: settings that a real site must choose get harmless values.
export LOCAL ?= 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo serve test lint types format check-compose pytest bench developer-tools system-packages

help: ## list what can be done
	@echo "LesionLens: skin-lesion triage support. Needed: Python 3.11 and make."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "Start with \`make demo\`. It runs on your own images with"
	@echo "  make demo IMAGES=<folder or zip> METADATA=<csv> COUNT=<how many>"

setup: .venv/.runtime ## make .venv from the pinned requirements (the others call it)

demo: setup ## play the whole loop: a clinic's batch in, results out, labels back, a retrained model and the way back
	@$(BIN)/python -m deploy.local demo $(if $(IMAGES),--images "$(IMAGES)") $(if $(METADATA),--metadata "$(METADATA)") $(if $(COUNT),--count $(COUNT))

serve: setup ## run the site and its workers at http://127.0.0.1:8000 (or PORT=) until Ctrl-C
	@trap : INT; $(BIN)/python -m deploy.local serve || [ $$? -eq 130 ] # 130: Ctrl-C, which is no failure

# The types are checked beside the tests, on what these leave of two cores, and told behind them.
test: developer-tools system-packages lint check-compose ## run every check and test
	@$(BIN)/mypy > .venv/types.log 2>&1 & types=$$!; \
	  $(BIN)/pytest $(ARGS); tests=$$?; \
	  wait $$types; types=$$?; echo; echo "The types:"; cat .venv/types.log; exit $$((tests || types))

lint: developer-tools ## check the style and the rules about who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: developer-tools ## check the types
	$(BIN)/mypy

format: developer-tools ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check-compose: developer-tools ## check the Docker files against the Compose specification
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

pytest: developer-tools ## run the tests alone (more arguments in ARGS=)
	$(BIN)/pytest $(ARGS)

bench: developer-tools system-packages ## measure the service, an hour and a half on a quiet machine (some of it: ARGS="--scale 0.1 --only drain,peers")
	$(BIN)/python -m tests.bench $(ARGS)

developer-tools: .venv/.developer

system-packages: ## install the browser and the S3 server that tests use (Debian, as root; elsewhere it says what to do)
	@deploy/system-packages.sh

# A stamp holds what an installation was finished with: an interrupted one is taken up again, and a checkout that only
# makes files newer installs nothing.

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
	  echo "LesionLens needs Python 3.11, and '$(PYTHON)' is not one."; \
	  echo "Install it (Debian 12: apt-get install python3.11-venv) or name it: make setup PYTHON=/path/to/python3.11"; \
	  exit 1; }
	@echo "Making .venv"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.runtime: requirements.txt constraints.txt | .venv/.made
	@cat $^ | cmp -s - $@ || { \
	  echo "Installing what LesionLens runs on, the first time: two minutes, on a busy machine seven. $(PIP_SILENT)"; \
	  $(PIP_INSTALL) --requirement requirements.txt && cat $^ > $@; }
	@touch $@

.venv/.developer: requirements.txt requirements-dev.txt constraints.txt | .venv/.made
	@cat $^ | cmp -s - $@ || { \
	  echo "Installing what LesionLens runs on and is tested with, the first time: two minutes, on a busy machine seven. $(PIP_SILENT)"; \
	  $(PIP_INSTALL) --requirement requirements-dev.txt && cat $^ > $@; }
	@cat requirements.txt constraints.txt > .venv/.runtime
	@touch $@
