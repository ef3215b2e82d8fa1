# glasschat: `make run` to chat, `make test` to check, `make help` for the rest.

# Given on the command line, as in `make run PORT=9000`; HOST of some shells' environment is not
# meant. Recipes read them as the shell's own variables, so that a path may hold anything.
PORT := 8501
HOST :=
MODEL :=
ARGS :=
export PORT HOST MODEL

VENV := .venv
BIN := $(VENV)/bin
# The first Python that is new enough; tools/install.py says what is wrong when none is.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; \
	done; echo python3)
# A stamp for each extra: while it is newer than these, nothing is installed again.
PINS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run test test-all format bench figures clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1@\2/p' $(MAKEFILE_LIST) | \
		while IFS=@ read -r target text; do printf '%-14s %s\n' "$$target" "$$text"; done

# A model folder, or one of the hub's, needs torch and transformers beside; signing in and PostgreSQL
# have an extra each.
RUN_EXTRAS = $(if $(filter hf:%,$(MODEL))$(wildcard $(MODEL)/config.json),hf) \
	$(if $(filter --login --login=%,$(ARGS)),login) \
	$(if $(findstring postgresql:,$(ARGS)),postgres)

run: $(patsubst %,$(VENV)/.stamp-%,builtin $(RUN_EXTRAS)) ## serve the chat: MODEL=path PORT=8501 HOST=127.0.0.1 ARGS="--slots 8"
	@exec $(BIN)/glasschat web $${MODEL:+"$$MODEL"} --port "$$PORT" $${HOST:+--host "$$HOST"} $(ARGS)

test: $(VENV)/.stamp-test ## format, lint, types, import rules and the tests; stops at the first that fails
	@$(BIN)/python tools/browser.py --install
	@$(BIN)/python tools/postgres.py --install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 -m "not slow" --cov

# What `make test` leaves out: it does not repeat the rest.
test-all: $(VENV)/.stamp-test ## the slow tests, other people's programs, and property tests in full; after `make test`
	@$(BIN)/python tools/browser.py --install
	@$(BIN)/python tools/postgres.py --install
	@$(BIN)/python tools/clients.py --install
	HYPOTHESIS_PROFILE=full $(BIN)/pytest -n 2 -m "slow or hypothesis"

format: $(VENV)/.stamp-test ## format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.stamp-bench ## measure side by side with others: MODEL=path.gguf ARGS=--json
	@exec $(BIN)/python -m bench $${MODEL:+--model "$$MODEL"} $(ARGS)

figures: $(VENV)/.stamp-test ## count the figures of the code that docs/log.md follows: ARGS="--root CHECKOUT"
	@$(BIN)/python tools/figures.py $(ARGS)

clean: ## remove the environment and every cache
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	find src bench tests tools -name __pycache__ -prune -exec rm -rf {} +
	rm -rf src/*.egg-info

$(VENV)/.stamp-%: $(PINS)
	@$(PYTHON) tools/install.py --venv $(VENV) --extras $*
	@touch $@
