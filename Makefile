.DEFAULT_GOAL := help
SHELL := bash
# The make 3.81 of macOS does not know these: what must stop a recipe is said in it, by && or || exit.
.SHELLFLAGS := -eu -o pipefail -c

# uv from the PATH, or else one of this checkout's own: nothing is installed outside it.
UV_VERSION := 0.13.9
UV := $(or $(shell command -v uv),.tools/bin/uv)
TOOLS := $(if $(filter .tools/bin/uv,$(UV)),.tools/uv-$(UV_VERSION))
# A virtual environment holds its own path: a checkout that was moved or copied needs a new one.
MOVED := $(shell [ "$$(cat .venv/installed 2>/dev/null)" = "$$(pwd -P)" ] || echo moved)
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11) or print(sys.executable))' 2>/dev/null && break; done)
export UV_PYTHON ?= $(PYTHON)
export UV_PYTHON_DOWNLOADS ?= never
# A company's proxy signs with an authority that the system knows. uv asks the system only if it is told to, and there is one.
STORES := /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem
export UV_SYSTEM_CERTS ?= $(if $(wildcard $(STORES)),true,false)
# What fetches packages does it as pip is told to: from its index, through its proxy.
FETCH := $(if $(PYTHON),"$(PYTHON)" '<<cookiecutter.project_slug>>/.fetch.py')
# Python run in the template's folder must leave nothing there: what lies there is rendered.
export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/pycache
# Thousands of processes are started here; where nothing may be written, each compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/.venv/bin:$(PATH):$(CURDIR)/.tools/bin

# Tests compute and wait: for processes, servers, leases. On two cores four keep both busy; more import more than they gain.
WORKERS ?= 4

# The chassis and its parts are plain Python: checked where they lie, before any rendering.
SERVICE := $(CURDIR)/<<cookiecutter.project_slug>>
IN_PLACE := $(CURDIR)/tests/chassis

.PHONY: help
help: ## Show what can be done
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.tools/uv-$(UV_VERSION):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; install it, or say where: make PYTHON=/path/to/python3"; exit 2; }
	@echo "Installing uv $(UV_VERSION) into .tools/ ..."
	@"$(PYTHON)" -m venv --clear .tools
	@$(FETCH) .tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

uv.lock: pyproject.toml | $(TOOLS)
	@$(FETCH) "$(UV)" lock --quiet
	@touch $@

.PHONY: moved
.venv/installed: pyproject.toml uv.lock $(MOVED) | $(TOOLS)
	@echo "Installing the template's own tools into .venv/ ..."
	@$(if $(MOVED),rm -rf .venv)
	@$(FETCH) "$(UV)" sync --frozen --quiet
	@pwd -P >$@

.PHONY: install
install: .venv/installed ## Install everything into this checkout

.PHONY: run
run: install ## Render a service, start it, and show what there is to see
	@exec python scripts/run.py

.PHONY: example
example: install ## Make a service of an example and start it: make example NAME=poller
	@exec python scripts/example.py $(NAME)

.PHONY: fleet-demo
fleet-demo: install ## Make eight services of older releases, roll them all up, and show the fleet's page
	@exec $(FETCH) python scripts/fleet_demo.py $(ARGS)

# Which tests belong together. A test shows that each is in one lane; those marked slow are in the slow one.
ENGINE := tests/benchmarks tests/engine tests/fleet tests/rollup tests/scripts tests/strategies $(wildcard tests/test_*.py)
RENDERED := tests/deploy tests/examples tests/hooks tests/pipelines tests/render tests/twelve_factor
CHASSIS_TESTS := tests/chassis
# The ten slowest are printed at the end; how long each took is kept in a report, which CI keeps.
REPORTS := .cache/reports
PYTEST = $(FETCH) pytest --numprocesses $(WORKERS) --dist worksteal --durations 10 --junitxml $(REPORTS)/$@.xml

.PHONY: test
test: $(if $(ARGS),test-some,test-engine test-template test-chassis) ## Run the quick tests; make test ARGS=tests/twelve_factor runs those, the slow ones too

.PHONY: test-some
test-some: install
	@$(FETCH) pytest -m "not deep" --numprocesses $(WORKERS) --dist worksteal --durations 10 $(ARGS)

.PHONY: test-engine
test-engine: install ## Run the tests of the rollup and the fleet: make test-engine ARGS="-k diff"
	@$(PYTEST) $(ENGINE) $(ARGS)

.PHONY: test-template
test-template: install ## Run the tests of what is rendered
	@$(PYTEST) $(RENDERED) $(ARGS)

.PHONY: test-slow
test-slow: install ## Run the tests that take long
	@$(PYTEST) -m "slow and not deep" $(ARGS)

.PHONY: test-deep
test-deep: install ## Run the tests that look further, for a night
	@$(PYTEST) -m deep $(ARGS)

.PHONY: test-all
test-all: test test-slow test-deep ## Run all tests

.PHONY: lint
lint: install ## Check style, types, declared dependencies, who imports whom, and the pictures of that
	ruff check --config pyproject.toml
	ruff format --check --config pyproject.toml
	mypy
	deptry src
	lint-imports --no-logo --cache-dir .cache/import-linter
	@sources=('$(SERVICE)'/vendor/*/src) && PYTHONPATH="$$(IFS=:; echo "$${sources[*]}")" \
		lint-imports --no-logo --cache-dir .cache/import-linter --config '$(IN_PLACE)/pyproject.toml'
	@python scripts/size.py --check
	@python scripts/map.py --check
	@python scripts/style.py
	nitpick check
	SKIP=mypy,nitpick,ruff-check,ruff-format prek run --config .pre-commit-config.yaml --all-files

.PHONY: hooks
hooks: install ## Install the hooks, which check the style before every commit
	@python scripts/style.py
	pre-commit install

.PHONY: format
format: install ## Fix what can be fixed of the style
	ruff check --fix --exit-zero --config pyproject.toml
	ruff format --config pyproject.toml

LANE := not slow
PYTHON_VERSION :=
CHASSIS_REPORT = chassis$(PYTHON_VERSION)$(if $(filter-out slow,$(LANE)),,-slow).xml
# In the environment of services, with the sources of the chassis and its parts.
AMID_SERVICES = python="$$(PYTHONPATH=tests $(FETCH) python -c 'import environments; print(environments.service_python("$(PYTHON_VERSION)"))')" && \
	export PATH="$${python%/*}:$$PATH" && sources=('$(SERVICE)'/vendor/*/src) && export PYTHONPATH="$$(IFS=:; echo "$${sources[*]}")"

.PHONY: chassis
chassis: test-chassis ## Test and type-check the chassis in place: make chassis ARGS="-k health" LANE=slow PYTHON_VERSION=3.13
	@$(AMID_SERVICES) && MYPYPATH="$$PYTHONPATH" mypy --config-file '$(IN_PLACE)/pyproject.toml' --cache-dir .cache/mypy-chassis \
		"$${sources[@]}" '$(IN_PLACE)'

.PHONY: test-chassis
test-chassis: WORKERS := 8 # they wait, most of the time
test-chassis: install
	@$(AMID_SERVICES) && python -m pytest -c '$(IN_PLACE)/pyproject.toml' --rootdir '$(IN_PLACE)' \
		-o cache_dir='$(CURDIR)/.cache/pytest-chassis' -m '$(LANE)' --numprocesses $(WORKERS) --dist worksteal --durations 10 \
		--junitxml '$(CURDIR)/$(REPORTS)/$(CHASSIS_REPORT)' '$(IN_PLACE)' $(ARGS)

.PHONY: factors
factors: install ## Write docs/twelve-factor.md from the tests of the twelve factors
	python scripts/factors.py

.PHONY: map
map: install ## Draw the pictures in docs/architecture.md from the imports
	@python scripts/map.py

.PHONY: picture
picture: install ## Take the README's picture again (needs chromium)
	python scripts/pictures.py

.PHONY: constraints
constraints: install ## Pin the newest versions of what services depend on
	python scripts/constraints.py

.PHONY: newest
newest: install ## Try a service with the newest versions of its dependencies
	python scripts/newest.py

.PHONY: bench
bench: install ## Measure: make bench NAME=service ARGS=--in-process; without a NAME it lists what there is
	@exec python scripts/bench.py '$(NAME)' $(ARGS)

.PHONY: wheels
wheels: install ## Build the wheels of the chassis and its parts into dist/, for an index: without a local version
	@python scripts/wheels.py dist

.PHONY: release
release: install ## Release: make release VERSION=1.2.3
	@test -n "$(VERSION)" || { echo "Say which: make release VERSION=1.2.3"; exit 2; }
	@python scripts/release.py $(VERSION)

.PHONY: clean
clean: ## Remove what make made
	rm -rf .venv .tools .cache dist .mypy_cache .ruff_cache .hypothesis
