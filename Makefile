# fd0: `make run` tries everything, `make check` proves everything, `make install` puts it in place.

PYTHON  ?= python3
PREFIX  ?= /usr/local
DESTDIR ?=
LIBRARY  = $(PREFIX)/lib/fd0
# the interpreter that installed programs start: the system's own, not one of a virtual environment
SYSTEM_PYTHON ?= /usr/bin/python3
VENV     = .venv
AS_ROOT  = $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

.PHONY: help run check test lint types launchers units install uninstall clean

help:           ## Show these targets.
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

run: $(VENV)/ready      ## Run all services at loopback ports, until Ctrl-C.
	@$(VENV)/bin/python -m daemons.tools up

check: $(VENV)/dev launchers    ## Run the whole test suite: lint, types, tests.
	@$(VENV)/bin/tox -q

test: $(VENV)/dev       ## Run the tests alone, in this checkout's environment.
	@$(VENV)/bin/python -m pytest

lint: $(VENV)/dev       ## Run ruff.
	@$(VENV)/bin/ruff check daemons tests bench

types: $(VENV)/dev      ## Run mypy on kernel, wire and stores.
	@$(VENV)/bin/mypy

$(VENV)/bin/python:
	@sh .ci/venv "$(PYTHON)" $(VENV) $(AS_ROOT)

$(VENV)/ready: $(VENV)/bin/python setup.cfg
	@$(VENV)/bin/python -m pip install -q --disable-pip-version-check python-daemon
	@touch $@

$(VENV)/dev: $(VENV)/ready
	@$(VENV)/bin/python -m pip install -q --disable-pip-version-check pytest pytest-xdist tox hypothesis cryptography pyOpenSSL ruff mypy
	@touch $@

launchers:      ## Install the launchers and clients that the live tests start (Debian packages).
	@sh .ci/launchers $(AS_ROOT)

units: $(VENV)/bin/python       ## Write xinetd.d/ and systemd/ anew from the programs' declarations.
	$(VENV)/bin/python -m daemons.tools units --to=.

install:        ## Install programs and the fd0 command under PREFIX (default /usr/local).
	install -d $(DESTDIR)$(LIBRARY)/daemons $(DESTDIR)$(PREFIX)/bin
	cp -R daemons/. $(DESTDIR)$(LIBRARY)/daemons
	find $(DESTDIR)$(LIBRARY)/daemons -name __pycache__ -prune -exec rm -rf {} +
	$(PYTHON) -m daemons.tools stubs --to=$(DESTDIR)$(LIBRARY) --library=$(LIBRARY) --python=$(SYSTEM_PYTHON)
	$(SYSTEM_PYTHON) -m compileall -q -s $(DESTDIR)$(LIBRARY) -p $(LIBRARY) $(DESTDIR)$(LIBRARY)/daemons
	printf '#!/bin/sh\nPYTHONPATH=%s exec %s -P -m daemons.tools "$$@"\n' $(LIBRARY) $(SYSTEM_PYTHON) > $(DESTDIR)$(PREFIX)/bin/fd0
	chmod 755 $(DESTDIR)$(PREFIX)/bin/fd0

uninstall:      ## Take away what `make install` put there.
	rm -rf $(DESTDIR)$(LIBRARY) $(DESTDIR)$(PREFIX)/bin/fd0

clean:          ## Take away what the other targets made in this checkout.
	rm -rf $(VENV) .tox .launchers build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
