# The two commands of a newcomer: `make demo` and `make test`. Both do all the set-up themselves, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
DEMO := build/demo
export PYTHONDONTWRITEBYTECODE ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint lint-c docs notebooks bench peers package clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 20

# The main job on the built-in data, as a recipe to copy: train, look inside, put it on the board, prove it.
demo: $(VENV)/.firmware  ## train a CNN on the built-in dogs, look inside it, run it on an emulated board: build/demo/report.html
	$(BIN)/tfviz train dog-poses --out $(DEMO)/dog.keras
	$(BIN)/tfviz maps $(DEMO)/dog.keras dog-poses --layer conv1 --out $(DEMO)/maps
	$(BIN)/tfviz cam $(DEMO)/dog.keras dog-poses --method grad-cam --out $(DEMO)/grad-cam.png
	$(BIN)/tfviz saliency $(DEMO)/dog.keras dog-poses --method saliency --out $(DEMO)/saliency.png
	$(BIN)/firmware-tools validate $(DEMO)/dog.keras --board nano33ble --data dog-poses --limit 120 \
	    --report $(DEMO)/report.html --json $(DEMO)/report.json

test: $(VENV)/.dev  ## the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(VENV)/.dev  ## the tests that take minutes
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

lint: $(VENV)/.dev  ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Every C file that runs on a device or beside one; what each program asks stands in .clang-tidy and .cppcheck.
C := $(wildcard firmware_tools/firmware/nn/*.c firmware_tools/firmware/link/*.c firmware_tools/devices/*.c) \
    firmware_tools/firmware/ports/posix/port.c
lint-c:  ## cppcheck and clang-tidy over the C (installed by .ci/run)
	@cppcheck --std=c99 --enable=warning,style,performance,portability --error-exitcode=1 --quiet \
	    --suppressions-list=.cppcheck -Ifirmware_tools/firmware -Ifirmware_tools/firmware/nn $(C)
	@printf '%s\n' $(C) | xargs -P 2 -n 8 clang-tidy --quiet

bench: $(VENV)/.dev  ## speed, memory and accuracy figures, each beside its floor or peer
	for script in bench/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

docs: $(VENV)/.dev  ## the documentation as a site, every broken link an error: build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

peers: $(VENV)/.dev  ## other explanation libraries, in build/peers: the bench and the slow tests set tfviz beside them
	$(PIP) --no-deps --upgrade --target build/peers --requirement bench/peers/requirements.txt

notebooks: $(VENV)/.dev  ## run the notebooks from top to bottom and store their outputs; CHECK=1 stores nothing
	$(BIN)/python notebooks/run.py $(if $(CHECK),--check)

package: $(VENV)/.dev  ## the wheel and the sdist, checked, in dist
	rm -rf dist
	$(BIN)/python -m build --outdir dist . >/dev/null
	$(BIN)/twine check --strict dist/*

clean:  ## remove what was built, keep the environment
	rm -rf build dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	    { echo "Python 3.11, 3.12 or 3.13 is needed, $$($(PYTHON) --version) was found: make PYTHON=/path/to/python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.firmware: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable '.[firmware]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable '.[firmware,ray,notebooks,docs,dev]'
	@touch $@ $(VENV)/.firmware
