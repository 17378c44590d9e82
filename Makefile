# Each target makes what it needs. Nothing is installed twice: a stamp in .venv says what is there.
PYTHON ?= python3
ARGS ?=
VENV := .venv
RUN := $(VENV)/bin/python
UV ?= uv
LOCKS := deploy/requirements

CATALOGUES := $(wildcard shared/translations/*/LC_MESSAGES/*.po)
COMPILED := $(CATALOGUES:.po=.mo)

# Where Linux can do it, the demonstration also ends when make is killed outright.
TETHER := $(if $(shell command -v setpriv),setpriv --pdeathsig TERM)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo prepare test test-all lint bench wheel requirements clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/bin/passerelle $(COMPILED) ## Run a whole network here until Ctrl-C (ARGS="--port-base 9000 …")
	@exec $(TETHER) $(RUN) -m deploy.cli demo $(ARGS)

# Before anything else: a virtual environment may need a package that this installs.
prepare:
	@.ci/prepare

test: prepare $(VENV)/dev.stamp $(VENV)/bin/passerelle $(COMPILED) ## Check the code, and run the tests that this machine can run
	@$(MAKE) --no-print-directory lint; checks=$$?; \
		[ $$checks = 0 ] || echo "make lint found what is above; the tests run all the same." >&2; \
		PYTHONHASHSEED=0 $(RUN) -m pytest -n 3 --dist loadscope --no-loadscope-reorder $(ARGS) && exit $$checks

test-all: ## The same with those that take long, and all on both databases (as .ci/run does)
	@$(MAKE) --no-print-directory test ARGS="--thorough $(ARGS)"

lint: $(VENV)/dev.stamp ## Check style, types and the layers
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy
	@$(VENV)/bin/lint-imports --no-logo

bench: $(VENV)/dev.stamp $(COMPILED) ## Measure, beside the limits of this machine (ARGS=…)
	@exec $(RUN) -m deploy.bench $(ARGS)

# From a copy, so that nothing that lies about here gets in. The pins go beside it.
wheel: $(VENV)/dev.stamp ## Write what is released into dist/: the wheel, and the pins it was tested with
	@rm -rf build dist && mkdir -p build/wheel dist
	@tar --exclude='./.[!.]*' --exclude=./build --exclude=./dist --exclude=./var --exclude=__pycache__ \
		--exclude='*.mo' -cf - . | tar -xf - -C build/wheel
	@$(RUN) -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist build/wheel
	@cp $(LOCKS)/run.txt dist/requirements.txt && rm -rf build
	@ls dist/*

requirements: ## Lock the requirement files again (needs uv; UPGRADE=1 takes newer versions)
	@command -v $(UV) >/dev/null || { echo "uv is needed: pip install uv" >&2; exit 1; }
	@cd $(LOCKS) && for name in run dev; do \
		$(UV) pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
			--no-header --python-version 3.11 --universal $(if $(UPGRADE),--upgrade) \
			$$name.in -o $$name.txt || exit 1; \
	done

clean: ## Remove what these targets made
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis $(COMPILED)
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

%.mo: %.po | $(VENV)/run.stamp
	@$(RUN) -m babel.messages.frontend --quiet compile --input-file $< --output-file $@

NO_PYTHON = Passerelle needs Python 3.11 or later, and $(PYTHON) is not: install it, or name it with PYTHON=
NO_VENV = Passerelle needs venv and ensurepip, which $(PYTHON) lacks: apt-get install python3-venv

$(VENV)/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "$(NO_PYTHON)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(NO_VENV)" >&2; exit 1; }
	@echo "Making $(VENV)…"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run.stamp: $(LOCKS)/run.txt | $(VENV)/made.stamp
	@echo "Installing what $< pins…"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# dev.txt pins all of run.txt, so that run.stamp holds too; a test compares the two.
$(VENV)/dev.stamp: $(LOCKS)/dev.txt $(LOCKS)/run.txt | $(VENV)/made.stamp
	@echo "Installing what $< pins…"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $(VENV)/run.stamp $@

# The project itself runs from this folder. This is what an editable installation would write,
# without having to fetch a build tool.
define LINK
import shutil, sysconfig
from pathlib import Path
from shared.base.version import VERSION as version
site = Path(sysconfig.get_path("purelib"))
for old in site.glob("passerelle-*.dist-info"):
    shutil.rmtree(old)
about = site / f"passerelle-{version}.dist-info"
about.mkdir()
(about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: passerelle\nVersion: {version}\n")
(site / "passerelle.pth").write_text("../../../..\n")
endef
export LINK

$(VENV)/bin/passerelle: Makefile shared/base/version.py | $(VENV)/run.stamp
	@$(RUN) -c "$$LINK"
	@printf '%s\n' '#!/bin/sh' 'export PYTHONSAFEPATH=1  # not the folder where it is called' \
		'here=$$(dirname "$$(readlink -f "$$0")")' \
		'exec "$$here/python" -c "from deploy.cli import main; main(prog_name=\"passerelle\")" "$$@"' > $@
	@chmod +x $@
