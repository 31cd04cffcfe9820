# Everything a person types. Each target does its own set-up; a second run finds it done.
.DEFAULT_GOAL := help
.PHONY: demo test lint bench faults drill fuzz mutate lock clean help packages host train runner
SHELL := /bin/sh

demo: packages host runner  ## run the whole story on this machine, with real parts, and report what held (build/demo.json)
	@.venv/bin/sandbox demo

test: packages lint runner train  ## lint, then every test: without containers and with them side by side, then training
	@.venv/bin/python -m tests.suites

lint: host  ## ruff, mypy --strict, import layers
	@.venv/bin/ruff check
	@.venv/bin/mypy
	@for recipe in recipes/*/recipe.py; do .venv/bin/mypy --no-error-summary "$$recipe" || exit 1; done
	@said=$$(.venv/bin/lint-imports 2>&1) || { echo "$$said"; exit 1; }

bench: packages host runner train  ## measure the sandbox against plain training, side by side (build/bench.json)
	@.venv/bin/python -m sandbox.bench

faults: packages host runner  ## kill gate, container, Vault, MLflow and engine at every point of a run, and check what must hold (build/faults.json)
	@.venv/bin/python -m tests.faults.live || test -f build/drill.json # one that missed its times is a row below
	@.venv/bin/python -m tests.faults --drill build/drill.json

drill: packages host runner  ## kill twenty live containers in an installation of its own and time every step (build/drill.json)
	@.venv/bin/python -m tests.faults.live

mutate: host  ## damage sealed data in every listed way, and take each check away in turn (build/mutations.json)
	@.venv/bin/python -m tests.mutations

fuzz: host  ## ask both services everything their descriptions promise and forbid, and hold each answer against them (build/fuzz.json)
	@.venv/bin/python -m tests.api

lock: host runner  ## resolve the dependencies again, with hashes (UPGRADE=1: the newest that fit)
	@sh setup/lock.sh

clean:  ## remove environments, caches and build results; downloaded wheels and running sandboxes stay
	@rm -rf .venv .venv-train build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '%-14s %s\n' "$$name" "$$text"; done

packages:
	@sh setup/packages.sh
host: packages  ## set up the command line: .venv/bin/sandbox
	@sh setup/venv.sh host
train: host
	@sh setup/venv.sh train
runner: host
	@sh setup/wheels.sh runner
