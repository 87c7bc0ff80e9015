# Lamella. `make` alone lists the targets. Needs Python 3.11 or later and nothing else.

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?= -n auto --dist worksteal
FRONT_DOOR ?= url
PORT ?= 3000

BIN := $(VENV)/bin
ENV := $(VENV)/.installed
RUN_VENV := .venv-run
RUN := $(RUN_VENV)/.installed
DOCS_VENV := .venv-docs
DOCS := $(DOCS_VENV)/.installed
SAM_VENV := .venv-sam
SAM := $(SAM_VENV)/.installed
CDK_VENV := .venv-cdk
CDK := $(CDK_VENV)/.installed
LAYER := dist/lamella-layer.zip
# Bytecode of Pythons that are not here: BYTECODE=docker compiles it in containers.
BYTECODE ?=
BYTECODE_IMAGE ?=
BUILD_ARGS = $(if $(BYTECODE),--bytecode $(BYTECODE)) $(if $(BYTECODE_IMAGE),--bytecode-image "$(BYTECODE_IMAGE)")
# Recursive on purpose: known only once the environment is there.
MINOR = $(shell $(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
FUNCTION = build/functions/fastapi-$(MINOR)
# Of the environments that are there, the first: its Python has a pip.
BUILDER = $(firstword $(wildcard $(BIN)/python $(RUN_VENV)/bin/python) $(PYTHON))

.PHONY: help env sam cdk pythons layer wheels function run check format test test-core matrix test-docker test-pythons publish verify aws bench soak chaos docs pins clean build-LamellaLayer

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# requirements/*.txt are complete, so pip resolves nothing (--no-deps) and only compares hashes.
# cfn-lint, of moto's, says that it needs a Python below 3.15, and runs there
# (--ignore-requires-python).
env: $(ENV) ## Create .venv with everything that tests and checks need, pinned by hash

$(ENV): requirements/dev.txt pyproject.toml
	@$(call need-python)
	@echo "Installing what tests and checks need into $(VENV), once:"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --ignore-requires-python --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

sam: $(SAM) ## Create .venv-sam with AWS's SAM CLI, pinned by hash

$(SAM): requirements/sam.txt
	@$(call need-python)
	@echo "Installing AWS's SAM CLI into $(SAM_VENV), once:"
	$(PYTHON) -m venv --clear $(SAM_VENV)
	$(SAM_VENV)/bin/python -m pip install --quiet --no-deps --require-hashes --requirement requirements/sam.txt
	@touch $@

cdk: $(CDK) ## Create .venv-cdk with AWS's CDK, pinned by hash

$(CDK): requirements/cdk.txt
	@$(call need-python)
	@echo "Installing AWS's CDK into $(CDK_VENV), once:"
	$(PYTHON) -m venv --clear $(CDK_VENV)
	$(CDK_VENV)/bin/python -m pip install --quiet --no-deps --require-hashes --requirement requirements/cdk.txt
	@touch $@

docs: $(DOCS) ## Build the documentation's site into build/site, strictly
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/python -m mkdocs build --strict

$(DOCS): requirements/docs.txt
	@$(call need-python)
	$(PYTHON) -m venv --clear $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --no-deps --require-hashes --requirement requirements/docs.txt
	@touch $@

pythons: ## Bring Python 3.14 and 3.15 into .cache/pythons (on Debian, as root)
	.ci/pythons

layer: $(LAYER) ## Build dist/lamella-layer.zip

# Always asked for: the build itself looks whether anything changed, at contents and not at dates.
.PHONY: $(LAYER)
$(LAYER):
	@$(call need-python)
	$(BUILDER) -m layer.build --output $@ --if-changed $(BUILD_ARGS)
	$(BUILDER) -m layer.sbom $@

wheels: env $(if $(ZIP),,layer) ## Build dist/*.whl and the sdists: the packages lamella and lamella-layer
	$(if $(ZIP),mkdir -p dist && cp "$(ZIP)" $(LAYER))
	$(BIN)/python -m hatchling build -d dist -t wheel -t sdist
	cd layer/distribution && $(abspath $(BIN))/python -m hatchling build -d ../../dist -t wheel -t sdist

function: $(ENV) ## Build the example function's folder as `sam build` would
	$(BIN)/python -m pip install --quiet --upgrade --no-compile --requirement examples/fastapi/requirements.txt --target $(FUNCTION)
	cp -R examples/fastapi/*.py examples/fastapi/static $(FUNCTION)/

run: $(RUN) layer ## Serve the example at 127.0.0.1:3000 (FRONT_DOOR=url, PORT=3000)
	PYTHONPATH=src $(RUN_VENV)/bin/python -m lamella.tools run main:app --front-door $(FRONT_DOOR) --port $(PORT) --layer $(LAYER) --task-root examples/fastapi --env ASGI_WEBSOCKET_PATH=/ws --try "/items/5?q=hello" --try /events --try /cookies

$(RUN): requirements/run.txt
	@$(call need-python)
	@echo "Installing the local Lambda and the example's packages into $(RUN_VENV), once:"
	$(PYTHON) -m venv --clear $(RUN_VENV)
	$(RUN_VENV)/bin/python -m pip install --no-compile --no-deps --require-hashes --requirement requirements/run.txt
	@touch $@

check: env ## Lint, check formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/zizmor --offline --quiet --min-severity medium .github/workflows
	$(BIN)/shellcheck bootstrap/bootstrap .ci/run .ci/pythons tests/docker/image/bootstrap tests/docker/image/lambda-entrypoint.sh

format: env ## Format, and fix what can be fixed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test: env sam cdk layer ## Run the tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

matrix: env ## Run every framework's example through every way in, and write docs/frameworks
	$(BIN)/python -m tests.matrix

test-docker: env sam ## Run the layer in Lambda-like containers (LAMBDA_IMAGE=... for AWS's own)
	LAMBDA_IMAGE="$(LAMBDA_IMAGE)" $(BIN)/python -m pytest $(PYTEST_ARGS) tests/docker

# What depends on the Python that runs it: no process is started here, but for a store or a server.
CORE := asgi front_doors response runtime sources testing websocket
test-core: env ## Run the core's tests on every other supported Python that is found here, but 3.12
	@$(BIN)/python -m layer.pythons | grep -v -e '^$(MINOR) ' -e '^3.12 ' | while read -r minor python; do \
	  echo "--- Python $$minor"; \
	  $(MAKE) --no-print-directory env PYTHON="$$python" VENV=.cache/python-$$minor < /dev/null && \
	  .cache/python-$$minor/bin/python -m pytest $(PYTEST_ARGS) $(CORE:%=tests/%) < /dev/null || exit 1; \
	done

test-pythons: env sam cdk layer ## Run the tests on every supported Python that is found here
	@$(BIN)/python -m layer.pythons | while read -r minor python; do \
	  echo "--- Python $$minor"; \
	  $(MAKE) --no-print-directory test PYTHON="$$python" VENV=.cache/python-$$minor < /dev/null || exit 1; \
	done

publish: env $(if $(ZIP),,layer) ## Publish the layer (REGIONS="eu-west-1 us-east-1" ACCESS=public; dry run unless YES=1)
	$(BIN)/lamella layer publish --layer "$(or $(ZIP),$(LAYER))" --ledger layer/layers.json --region "$(REGIONS)" --access "$(ACCESS)" $(if $(SSM),--ssm "$(SSM)") $(if $(PROFILE),--profile "$(PROFILE)") $(if $(filter 1,$(YES)),--yes)

verify: ## Check a zip against a rebuild (ZIP=lamella-layer.zip)
	@$(call need-python)
	PYTHONPATH=src $(BUILDER) -m layer.verify "$(or $(ZIP),$(LAYER))" $(BUILD_ARGS)

aws: env layer ## Deploy one stack, ask AWS what the docs ask, write docs/verified.md, delete it (REGION=eu-west-1)
	$(BIN)/python -m tests.aws --layer $(LAYER) $(if $(REGION),--region "$(REGION)") $(if $(PROFILE),--profile "$(PROFILE)") $(if $(filter 1,$(YES)),--yes) $(AWS_ARGS)

bench: env layer ## Measure beside Mangum and others, and write docs/benchmarks.md and docs/charts
	$(BIN)/python -m benchmarks --json build/bench.json --markdown docs/benchmarks.md $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.managed --json build/bench-managed.json --markdown docs/benchmarks.md
	$(BIN)/python -m benchmarks.parts --markdown docs/benchmarks.md
	$(BIN)/python -m benchmarks.charts build/bench.json build/bench-managed.json docs/charts
	$(BIN)/python -m benchmarks.websocket

soak: env layer ## A hundred thousand invocations: nothing may grow
	$(BIN)/python -m benchmarks.soak

chaos: env layer ## Attack the layer in every way known (CHAOS_ARGS="--minutes 60")
	$(BIN)/python -m tests.chaos $(CHAOS_ARGS)

pins: env ## Resolve requirements/*.in into *.txt anew
	cd requirements && for name in dev run sam cdk docs; do \
	  ../$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-emit-index-url --no-emit-find-links --output-file $$name.txt $$name.in || exit 1; \
	done

clean: ## Remove all that these targets make
	rm -rf build dist .aws-sam .cache $(VENV) $(RUN_VENV) $(SAM_VENV) $(CDK_VENV) $(DOCS_VENV) .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# SAM's makefile build (template.yaml) calls this with ARTIFACTS_DIR, the layer's /opt.
build-LamellaLayer:
	@$(call need-python)
	$(BUILDER) -m layer.build --output build/sam/lamella-layer.zip --unpack "$(ARTIFACTS_DIR)" $(BUILD_ARGS)

define need-python
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
  echo "Lamella needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' || { \
  echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
endef
