# One or two lines a target. State: .venv/ (what runs) and .local/ (OFFERS_HOME, what it knows).
BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile --system-certs --quiet --universal --python-version 3.11 --generate-hashes --no-header
CHECKED := libs services feature_repo deploy tests

.DEFAULT_GOAL := help
.PHONY: help sync up down status test lint format evaluate bench chaos lock

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

sync:  ## install what requirements/dev.lock says into .venv
	@sh deploy/local/sync.sh

up: sync  ## start the platform, build what it lacks, score one person through each service
	@$(BIN)/python -m deploy.local up

down: sync  ## stop what `make up` started
	@$(BIN)/python -m deploy.local down

status: sync  ## show what runs
	@$(BIN)/python -m deploy.local status

test: sync  ## run all tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

lint: sync  ## check format, style, types and the import rules of the house
	@sh deploy/local/lint.sh $(wildcard $(CHECKED))

format: sync  ## rewrite files in the format that lint wants
	@$(BIN)/ruff check --fix --quiet $(wildcard $(CHECKED)); $(BIN)/ruff format $(wildcard $(CHECKED))

evaluate: sync  ## train and serve on real data, print the table of errors
	@$(BIN)/python tests/evaluation/run.py

bench: sync  ## measure throughput and latency against the baselines
	@$(BIN)/python tests/benchmarks/run.py

chaos: sync  ## move aliases a hundred times under 500 requests/s, by polling and by webhook; takes half an hour
	@OFFERS_TEST_ALIAS_MOVES=100 OFFERS_TEST_RATE=500 $(BIN)/python -m pytest -q -s tests/chaos/test_promotion.py -k go_unnoticed $(PYTEST_ARGS)

lock: sync  ## resolve requirements/*.in anew
	@$(COMPILE) --output-file requirements/dev.lock requirements/dev.in && sed '/^-e/,/# via/d' requirements/dev.lock > .venv/constraints.txt
	@for name in serving pipelines; do $(COMPILE) --no-annotate --constraints .venv/constraints.txt --output-file requirements/$$name.lock requirements/$$name.in || exit; done
