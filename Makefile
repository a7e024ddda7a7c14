SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
JOBS ?= 2
UV := .tools/bin/uv
RUN := .venv/bin
export UV_PYTHON_DOWNLOADS = never
export PYTHONWARNINGS ?=

.PHONY: help install
help: ## Print this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[36m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tidemark needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "installing uv into .tools"
	@$(PYTHON) -m venv .tools && .tools/bin/pip install --quiet --disable-pip-version-check uv

.venv/.installed: $(UV) uv.lock pyproject.toml $(wildcard libs/*/pyproject.toml services/*/pyproject.toml cli/pyproject.toml clients/python/pyproject.toml examples/pyproject.toml)
	@echo "installing the project's packages into .venv"
	@$(UV) sync --quiet --frozen --python "$$(command -v $(PYTHON))" && touch $@

.venv/.heavy: .venv/.installed
	@echo "installing pyspark and two libraries of trees, which two test files need, into .venv (about 600 MB)"
	@$(UV) sync --quiet --frozen --inexact --group spark --group models --python "$$(command -v $(PYTHON))" && touch $@

.venv/.bench: .venv/.installed
	@$(UV) sync --quiet --frozen --inexact --group bench --python "$$(command -v $(PYTHON))" && touch $@

install: .venv/.installed ## Make .venv with everything the project needs

.PHONY: demo test test-fast contract check lint format types imports proto proto-check docs-check bench bench-peers flamegraph up down logs clean
demo: install ## Watch a year of real flights run through a real Kafka and a real Valkey (TO=2013-08-01 to choose how far)
	@$(RUN)/tidemark demo $(if $(TO),--to $(TO)) $(DEMO_ARGS)

test: install .venv/.heavy ## Run every test, on a real Kafka and a real Valkey that it starts itself
	@$(RUN)/pytest --numprocesses $(JOBS) --dist loadfile $(PYTEST_ARGS)

test-fast: install ## Run the unit tests only
	@$(RUN)/pytest tests/unit $(PYTEST_ARGS)

check: lint types imports proto-check deploy-check ## Everything CI checks beside the tests

lint: install ## Ruff, rules and format
	@$(RUN)/ruff check . && $(RUN)/ruff format --check .

format: install ## Let ruff mend what it can
	@$(RUN)/ruff check --fix-only . && $(RUN)/ruff format .

types: install ## mypy, strict
	@$(RUN)/mypy libs services cli clients examples bench

imports: install ## The architecture as a failing check
	@$(RUN)/lint-imports

proto: install ## Regenerate the Python code of every contract
	@PATH="$(CURDIR)/$(RUN):$$PATH" proto/generate.sh libs/contracts/src examples/flights/gen

proto-check: install ## buf lint, buf breaking, and generated code equal to what is committed
	@PATH="$(CURDIR)/$(RUN):$$PATH" proto/check.sh

.PHONY: deploy-check
deploy-check: install ## Lint the compose file against its schema, and every Dockerfile
	@$(RUN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
	@$(RUN)/hadolint --config deploy/hadolint.yaml services/*/Dockerfile

contract: install ## Put a data plane to the contract suite over the wire: PLANE="path/to/binary --flag"; ours without
	@TIDEMARK_PLANE="$(PLANE)" $(RUN)/pytest -m plane tests/contract/inference tests/chaos/inference --ignore=tests/contract/inference/test_model_libraries.py $(PYTEST_ARGS)

bench: .venv/.bench ## Measure against floors and peers in the same run; ONLY=bus|store|scoring|forms|growth|rollback|exact|soak for one area
	@$(RUN)/python -m bench $(if $(ONLY),--only $(ONLY))

bench-peers: $(UV) ## Make the environments of the peers that `make bench` measures against (Feast, MLServer, BentoML; about 0.9 GB; PEERS=mlserver for one)
	@bench/peers/make.sh "$(CURDIR)/$(UV)" "$$(command -v $(PYTHON))" $(PEERS)

flamegraph: .venv/.bench ## Draw where the time of a score goes: docs/images/scoring-flame.svg, and each layer's share
	@$(RUN)/python -m bench.flamegraph

up: install ## Start a local Kafka and Valkey and leave them running
	@$(RUN)/tidemark stack up

down: install ## Stop them
	@$(RUN)/tidemark stack down

logs: install ## Show where the local stack keeps its logs
	@$(RUN)/tidemark stack status

clean: ## Remove what builds and runs left behind, but not the environment
	@rm -rf build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
