# One recipe per job; people, pre-commit and .ci/run call the same ones. `make help` lists them.

PYTHON  ?= python3.11
VENV    ?= .venv
BIN     := $(VENV)/bin
# Tests of one file stay in one process: they share what takes long to make, and blocks of a page their names. The
# order of the files is that of conftest.py: pytest-xdist would put those with few and long tests last.
JOBS    ?= auto
SPREAD  := -n $(JOBS) --dist loadfile --no-loadscope-reorder
PYTEST  := $(BIN)/python -m pytest $(SPREAD)
# Both uv and pip understand these words.
INSTALL := -c constraints.txt -e ".[cli]" --group dev

.DEFAULT_GOAL := help
.PHONY: help env test quick slow models integrations check format lint types layers demo docs picture dist changelog bench fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(VENV)/.complete ## create .venv with everything installed, in the versions of constraints.txt

# uv installs torch and its libraries many times faster than pip; where uv cannot reach the index that pip
# is configured for, pip does it. As pip does, it compiles what it installs: where PYTHONDONTWRITEBYTECODE is set, each
# process of each test would compile its libraries anew, which takes longer than all the rest.
$(VENV)/.complete: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt "pip>=25.1" uv
	$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python $(INSTALL) || $(BIN)/python -m pip install -q $(INSTALL)
	@touch $@

test: env ## run every test, the models of real libraries included (about a quarter of an hour)
	$(PYTEST) -m ""

quick: env ## run the tests that take no time of their own (minutes, most of it the start)
	$(PYTEST)

slow: env ## run every test, and write the table of those that `make quick` leaves out
	$(PYTEST) -m "" --write-slow

models: env ## pack and load models of real libraries (minutes)
	$(PYTEST) -m models tests/models

# Tools that want other versions of torch and of each other than the rest of the tests. uv takes the torch that pip has
# found, whatever index pip is configured for. uv compiles only what it has installed itself, and pip with one process: so
# neither compiles, and all is compiled at the end. Some files are templates, and no Python.
TOOLS := .venv-integrations
TOOLS_INSTALL := -c constraints-integrations.txt -e . --group integrations

$(TOOLS)/.complete: pyproject.toml constraints-integrations.txt
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install -q -c constraints-integrations.txt "pip>=25.1" uv
	$(TOOLS)/bin/python -m pip install -q --no-compile -c constraints-integrations.txt torch
	$(TOOLS)/bin/uv pip install -q --python $(TOOLS)/bin/python $(TOOLS_INSTALL) || $(TOOLS)/bin/python -m pip install -q --no-compile $(TOOLS_INSTALL)
	$(TOOLS)/bin/python -m compileall -qq -j 0 $(TOOLS)/lib || true
	@touch $@

integrations: $(TOOLS)/.complete ## try the tools that people have, in an environment of their own (minutes)
	$(TOOLS)/bin/python -m pytest $(SPREAD) -m "" tests/integrations src/wardian/integrations docs/how-to/lightning.md docs/how-to/mlflow.md docs/how-to/ray.md

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

docs: env ## build the documentation site, build/docs/index.html; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

picture: env ## draw docs/pictures/terminal.svg anew, from a real run
	$(BIN)/python docs/pictures/terminal.py

dist: env ## build the wheel and the sdist into dist/, twice: the bytes must be the same; check them with twine
	rm -rf dist build/again
	$(BIN)/python -m build --no-isolation --outdir dist
	$(BIN)/python -m build --no-isolation --outdir build/again
	cd dist && for file in *; do cmp "$$file" "../build/again/$$file" || exit 1; done
	$(BIN)/twine check --strict dist/*

changelog: env ## move what is in changes/ into CHANGELOG.md, for the version that the package has
	$(BIN)/towncrier build --yes --version $$($(BIN)/python -c "import wardian; print(wardian.__version__)")

bench: env ## compare with torch.package, torch.save and safetensors, as ratios
	$(BIN)/python -m benchmarks

FUZZ_SECONDS ?= 60
fuzz: env ## fuzz the readers for a minute, then run the property tests with many more examples
	$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt --group fuzz || $(BIN)/python -m pip install -q -c constraints.txt --group fuzz
	mkdir -p build/fuzz
	PYTHONPATH=src:. $(BIN)/python -m tests.fuzz.run -max_total_time=$(FUZZ_SECONDS) -timeout=10 -artifact_prefix=build/fuzz- build/fuzz tests/fuzz/corpus
	$(PYTEST) --hypothesis-profile=fuzz tests/property

clean: ## remove .venv, caches and build outputs
	rm -rf $(VENV) $(TOOLS) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
