PYTHON ?= python3
RUN := .venv/bin/python -m
TESTS ?= 4
COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" .venv/bin/uv pip compile --quiet --upgrade \
	--universal --python-version 3.11 --generate-hashes

.DEFAULT_GOAL := help
.PHONY: help setup up test check demo bench lock fmt

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv with the locked dependencies (every other target does this first)
	@$(PYTHON) bootstrap.py

up: setup ## Start Temporal, PostgreSQL, the gateway and a worker; Ctrl-C ends them
	@$(RUN) dev.up

test: setup ## Run every test, on real servers of its own
	@$(RUN) pytest -n $(TESTS)

check: setup ## Format, lint, types, imports: everything short of the tests
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@.venv/bin/basedpyright
	@.venv/bin/lint-imports

demo: setup ## Date the demo company's data today, in what `make up` runs
	@$(RUN) dev.demo.load

bench: setup ## Measure runs beside a hand-written Temporal workflow
	@$(RUN) bench

lock: setup ## Resolve the dependencies of pyproject.toml again, and the installer itself
	@$(COMPILE) --extra dev --output-file requirements.lock pyproject.toml
	@echo uv | $(COMPILE) --output-file bootstrap.lock -
	@$(PYTHON) bootstrap.py

fmt: setup ## Format, and mend what lint can mend
	@$(RUN) ruff check --fix-only --quiet .
	@$(RUN) ruff format .
