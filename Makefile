# Everything is reached from here; each target first brings .venv up to date. ARGS are passed on: make demo ARGS="--once"
PYTHON ?= python3
# One more than there are cores: the tests wait more than they reckon.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help ready demo test test-long check lint fix bench docs lock new-channel

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

ready: ## make .venv from requirements.lock, or bring it up to date
	@"$(PYTHON)" tools/bootstrap.py

demo: ready ## a pretend shop, won back before your eyes (ARGS="--once --seed 7")
	@$(BIN)/python -m daemon demo $(ARGS)

test: ready ## all tests but the long ones (ARGS="-k quiet_hours")
	$(BIN)/python -m pytest -n $(WORKERS) -m "not long" $(ARGS)

test-long: ready ## the long ones: kills, races and simulations by the thousand
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m long $(ARGS)

lint: ready ## style, types and the borders between the folders
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## all that must be right before a commit: lint and test

fix: ready ## let ruff put right what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: ready ## the performance goals, as a table of ratios
	$(BIN)/python -m bench $(ARGS)

docs: ready ## write all generated pages and pictures again
	$(BIN)/python tools/make_docs.py $(ARGS)

lock: ready ## resolve the dependencies anew (ARGS="--upgrade")
	$(BIN)/python tools/make_lock.py $(ARGS)

new-channel: ready ## the skeleton of a channel, and its stage for the contract (NAME=fax)
	@$(BIN)/python tools/new_channel.py $(NAME)
