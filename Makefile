# One recipe per job; people, pre-commit and .ci/run call the same ones. `make help` lists them.

PYTHON  ?= python3.11
VENV    ?= .venv
BIN     := $(VENV)/bin
# Tests of one file stay in one process: they share what takes long to make, and blocks of a page their names.
JOBS    ?= auto
PYTEST  := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile
# Both uv and pip understand these words.
INSTALL := -c constraints.txt -e ".[cli]" --group dev

.DEFAULT_GOAL := help
.PHONY: help env test quick models check format lint types layers demo bench fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(VENV)/.complete ## create .venv with everything installed, in the versions of constraints.txt

# uv installs torch and its libraries many times faster than pip; where uv cannot reach the index that pip
# is configured for, pip does it.
$(VENV)/.complete: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt "pip>=25.1" uv
	$(BIN)/uv pip install -q --python $(BIN)/python $(INSTALL) || $(BIN)/python -m pip install -q $(INSTALL)
	@touch $@

test: env ## run every test, the models of real libraries included (about a quarter of an hour)
	$(PYTEST) -m ""

quick: env ## run the tests that need no model library (minutes)
	$(PYTEST)

models: env ## pack and load models of real libraries (minutes)
	$(PYTEST) -m models tests/models

check: format lint types layers test ## all that a change must pass: format, lint, types, layers, every test

format: env ## report wrong formatting; `make format FIX=1` repairs it
	$(BIN)/ruff format $(if $(FIX),,--check) .
	$(if $(FIX),$(BIN)/ruff check --fix .)

lint: env ## run the linter
	$(BIN)/ruff check .

types: env ## check the types of src, tests and examples
	$(BIN)/mypy

layers: env ## check that imports follow the layers of .importlinter
	$(BIN)/lint-imports

demo: env ## pack resnet18 and a sentence encoder, load both where their libraries are blocked
	$(BIN)/python examples/demo.py

bench: env ## compare with torch.package, torch.save and safetensors, as ratios
	$(BIN)/python -m benchmarks

FUZZ_SECONDS ?= 60
fuzz: env ## fuzz the readers for a minute, then run the property tests with many more examples
	$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt --group fuzz || $(BIN)/python -m pip install -q -c constraints.txt --group fuzz
	mkdir -p build/fuzz
	PYTHONPATH=src:. $(BIN)/python -m tests.fuzz.run -max_total_time=$(FUZZ_SECONDS) -timeout=10 -artifact_prefix=build/fuzz- build/fuzz tests/fuzz/corpus
	$(PYTEST) --hypothesis-profile=fuzz tests/property

clean: ## remove .venv, caches and build outputs
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
