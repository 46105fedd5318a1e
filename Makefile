# payriver's front door. `make` alone lists what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Every target works alone and asks for the same .venv: nothing is won by running two at once.
.NOTPARALLEL:

# The Python that makes .venv: 3.11 where there is one, else any newer.
PYTHON ?= $(shell for found in python3.11 python3 python3.12 python3.13; do \
	$$found -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$found; break; }; done || true)
BIN := .venv/bin
ARGS ?=
DEMO_ARGS ?=
BENCH_ARGS ?=
# No host is written into a lock, and nothing but names, versions and hashes.
PIN = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet

.PHONY: help demo test test-long check bench schemas format lock setup
.PHONY: check-format check-lint check-types check-sql check-house

help: ## this list
	@awk 'BEGIN { FS = ":.*## "; print "\033[1mpayriver\033[0m: card payments on Gnosis Chain, every step an event that nobody can lose\n" } \
		/^[a-z-]+:.*## / { printf "  \033[36mmake %-11s\033[0m %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\n  Options: make demo DEMO_ARGS="--once --json FILE", make test ARGS="-k refund", make bench BENCH_ARGS="chain --json FILE"\n'

demo: setup ## sets everything up and runs the whole river, then stays up with its addresses until Ctrl-C
	@$(BIN)/payriver demo $(DEMO_ARGS)

test: setup ## the test suite on real servers (ARGS: pytest's)
	@$(BIN)/python -m pytest -m "not long" $(ARGS)

test-long: setup ## what takes longer: the whole matrix of kills, the long property runs
	@$(BIN)/python -m pytest -m long $(ARGS)

check: setup ## format, lint, types, SQL, import rules, schemas, docs: all of it before every commit
	@failed=; for step in format lint types sql house; do $(MAKE) check-$$step || failed="$$failed $$step"; done; \
	if [ -n "$$failed" ]; then echo "not in order:$$failed"; exit 1; else echo "all in order"; fi

bench: setup ## our figures beside those of others, in the same run
	@$(BIN)/payriver bench $(BENCH_ARGS)

schemas: setup ## writes the .avsc files and the drawn parts of the docs anew from the classes and tables
	@$(BIN)/payriver schemas write

format: setup ## formats the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix --quiet .

lock: setup ## pins every dependency anew, with hashes (ARGS: uv's, such as --upgrade)
	@$(PIN) pyproject.toml --all-extras --output-file requirements.lock $(ARGS)
	@$(PIN) infra/ui/requirements.in --output-file infra/ui/requirements.lock $(ARGS)
	@$(PIN) infra/peers/requirements.in --output-file infra/peers/requirements.lock $(ARGS)

setup: ## only .venv, from requirements.lock
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "payriver needs Python 3.11 or newer: install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -I infra/bootstrap.py

check-format:
	@$(BIN)/ruff format --check --quiet . && echo "format: in order"

check-lint:
	@$(BIN)/ruff check --quiet . && echo "lint: in order"

check-types:
	@$(BIN)/mypy --no-error-summary && echo "types: in order"

check-sql:
	@$(BIN)/sqlfluff lint --disable-progress-bar infra/migrations/*/[0-9]*.sql >/dev/null && echo "SQL: in order" \
		|| { $(BIN)/sqlfluff lint --disable-progress-bar infra/migrations/*/[0-9]*.sql; exit 1; }

check-house:
	@$(BIN)/payriver schemas check && $(BIN)/python -m pytest tests/architecture && echo "house: in order"
