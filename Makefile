# Everything by hand and in CI goes through these verbs.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help venv run test check format proto docs bench clean redis

help: ## Show these verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: venv ## Start the service on its embedded default and show first answers
	@exec $(BIN)/latentspace serve --demo

test: venv redis ## Run all tests
	$(BIN)/python -m pytest

check: venv ## Formatting, lint, types, import rules, drift of generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate_stubs.py --check
	$(BIN)/python scripts/generate_sync_client.py --check
	$(BIN)/python scripts/generate_settings_page.py --check
	$(BIN)/python scripts/generate_cli_page.py --check

format: venv ## Format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

proto: venv ## Generate the gRPC stubs from proto/
	$(BIN)/python scripts/generate_stubs.py
	$(BIN)/python scripts/generate_sync_client.py

docs: venv ## Generate the pages that are made from the code
	$(BIN)/python scripts/generate_settings_page.py
	$(BIN)/python scripts/generate_cli_page.py

bench: venv ## Measure the figures of the README
	$(BIN)/python -m benchmarks.analogy
	$(BIN)/python -m benchmarks.overhead

clean: ## Remove the environment and all caches
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

venv: $(STAMP) ## Create the environment
$(STAMP): pyproject.toml client/pyproject.toml scripts/make_venv.sh
	@scripts/make_venv.sh $(VENV)
	@touch $@

redis:
	@scripts/install_redis.sh
