# `make demo` and `make test` do all set-up themselves, in .venv: Python 3.11+ (with pip and venv) and make suffice.

# Another interpreter: make test PYTHON=/path/to/python3.13. More for the tool behind a target: ARGS="-k wheels".
PYTHON ?=
ARGS ?=

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
DOCS_STAMP := $(VENV)/.set-up-docs
PROJECTS := pyproject.toml src/sched_ram/pyproject.toml src/sched_redis/pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help demo demo-cluster test simulate test-faults test-matrix test-pythons lint format wheels bench docs clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|' 2>/dev/null \
		|| grep -E '^[a-z-]+:.*## ' Makefile

demo: $(STAMP) ## watch a few jobs run
	$(BIN)/python examples/demo.py $(ARGS)

demo-cluster: $(STAMP) ## watch three replicas on Redis, one of which is killed
	$(BIN)/python examples/demo_cluster.py $(ARGS)

test: $(STAMP) ## run all tests
	$(BIN)/python -m pytest -n auto $(ARGS)

# Another thousand: ARGS="--from 1000". One of them again: ARGS="--replay SEED".
simulate: $(STAMP) ## play a thousand seeds of a simulated cluster
	$(BIN)/python -m schedcore.testing $(ARGS)

# Which of them: "faults_quick" is what `make test` has too, "faults_ci" what .ci/run adds, "faults_long" the rest.
FAULTS ?= faults_quick or faults_ci or faults_long

test-faults: $(STAMP) ## kill, freeze, cut off and empty everything, for a quarter of an hour
	$(BIN)/python -m pytest tests/faults tests/sqlite -m "$(FAULTS)" -n 2 --dist=load $(ARGS)

test-matrix: $(STAMP) ## run the Redis tests on every Redis and Valkey that is here
	$(BIN)/python -m tests.redis.matrix -n auto $(ARGS)

# Each has an environment of its own, .venv-3.12 say.
test-pythons: ## run all tests on each of Python 3.11 to 3.14 that is here
	@failed=; passed=; missing=; \
	for version in 3.11 3.12 3.13 3.14; do \
		for python in "python$$version" "$$HOME"/.pyenv/versions/$$version.*/bin/python; do \
			"$$python" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$$version')" 2>/dev/null && break; \
			python=; \
		done; \
		if [ -z "$$python" ]; then missing="$$missing $$version"; \
		elif $(MAKE) --no-print-directory test VENV=".venv-$$version" PYTHON="$$python"; then passed="$$passed $$version"; \
		else failed="$$failed $$version"; fi; \
	done; \
	echo "passed on:$${passed:- none}; failed on:$${failed:- none}; not here:$${missing:- none}"; \
	[ -n "$$passed" ] && [ -z "$$failed" ]

lint: $(STAMP) ## check style, types and the rings
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python -m basedpyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo

format: $(STAMP) ## put the code into shape
	$(BIN)/python -m ruff check --fix-only .
	$(BIN)/python -m ruff format .

# Without isolation, hatchling is the one in .venv, and nothing is fetched.
wheels: $(STAMP) ## build the three wheels and sdists into dist/
	$(BIN)/python -m uv build --all-packages --clear --no-build-isolation --offline --python $(BIN)/python

bench: $(STAMP) ## measure
	$(BIN)/python -m benchmarks $(ARGS)

# The pictures of README.md and docs/ are drawn again, and then nothing may be left to warn of.
docs: $(DOCS_STAMP) ## build the documentation site into site/
	for text in docs/pictures/*.d2; do $(BIN)/d2 --theme 0 --dark-theme 200 --pad 12 $$text $${text%.d2}.svg || exit 1; done
	chmod 644 docs/pictures/*.svg
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict $(ARGS)

clean: ## remove all that make made
	rm -rf .venv .venv-3.* dist site .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Our three distributions are given by path, all at once, so that pip asks no index for any of them: there,
# "schedcore" is another project. pip and not uv, because pip heeds the machine's own settings for proxies,
# certificates and mirrors. A .venv whose interpreter is gone or too old is made anew.
$(STAMP): $(PROJECTS)
	@for python in $(if $(PYTHON),"$(PYTHON)",python3 python3.14 python3.13 python3.12 python3.11 python); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
		python=; \
	done; \
	if [ -z "$$python" ]; then \
		echo "schedcore needs Python 3.11 or later, and $(if $(PYTHON),$(PYTHON) is not,none is on the PATH)." >&2; \
		echo "Install one, or name it: make $(or $(MAKECMDGOALS),test) PYTHON=/path/to/python3.13" >&2; \
		exit 1; \
	fi; \
	if ! $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "Making $(VENV) with $$("$$python" --version), once; about a minute."; \
		"$$python" -m venv --clear $(VENV) || { \
			echo "This Python lacks venv or pip; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	fi
	@echo "Installing schedcore, its backends and the development tools into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1" "hatchling>=1.27" "editables>=0.5"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation \
		--group dev --editable '.[cli]' --editable src/sched_ram --editable src/sched_redis
	@touch $@

# What only the site needs comes when it is first built.
$(DOCS_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	@touch $@
