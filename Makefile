# fd0: `make run` tries everything, `make check` proves everything, `make install` puts it in place.

PYTHON  ?= python3
PREFIX  ?= /usr/local
DESTDIR ?=
LIBRARY  = $(PREFIX)/lib/fd0
SHARE    = $(PREFIX)/share/fd0
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSCONFDIR = /etc/fd0
INSTALL ?= install
# a package compiles where it is installed
COMPILE ?= yes
FD0      = $(PYTHON) -B -m daemons.tools
# the interpreter that installed programs start: the system's own, not one of a virtual environment
SYSTEM_PYTHON ?= /usr/bin/python3
VENV     = .venv
AS_ROOT  = $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

.PHONY: help run check test lint types launchers units install place uninstall deb dist clean

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

install:        ## Install everything under PREFIX (default /usr/local); with DESTDIR into a tree, for packages.
	$(MAKE) --no-print-directory place
ifeq ($(DESTDIR),)
	[ "$$(id -u)" != 0 ] || sh packaging/account make $(PREFIX)/lib/sysusers.d/fd0.conf $(PREFIX)/lib/tmpfiles.d/fd0.conf
	[ ! -d /run/systemd/system ] || systemctl daemon-reload
	@echo "installed; to put a service in place: fd0 enable NAME --with=xinetd|systemd|inetd   (fd0 list names them)"
endif

place:
	$(INSTALL) -d -m 755 $(DESTDIR)$(LIBRARY)
	cp -R daemons $(DESTDIR)$(LIBRARY)
	find $(DESTDIR)$(LIBRARY)/daemons -name __pycache__ -prune -exec rm -rf {} +
	chmod -R u=rwX,go=rX $(DESTDIR)$(LIBRARY)
	$(FD0) stubs --to=$(DESTDIR)$(LIBRARY) --library=$(LIBRARY) --python=$(SYSTEM_PYTHON) >/dev/null
	[ "$(COMPILE)" = no ] || $(SYSTEM_PYTHON) -m compileall -q -s $(DESTDIR)$(LIBRARY) -p $(LIBRARY) $(DESTDIR)$(LIBRARY)/daemons
	$(INSTALL) -d -m 755 $(DESTDIR)$(PREFIX)/bin
	printf '#!%s -P\nimport sys\nsys.path.insert(0, "%s")\nfrom daemons.tools.__main__ import main\nsys.exit(main())\n' \
		$(SYSTEM_PYTHON) $(LIBRARY) > $(DESTDIR)$(PREFIX)/bin/fd0
	chmod 755 $(DESTDIR)$(PREFIX)/bin/fd0
	$(FD0) units --to=$(DESTDIR)$(SHARE) --library=$(LIBRARY) >/dev/null
	$(INSTALL) -d -m 755 $(DESTDIR)$(UNITDIR)
	mv $(DESTDIR)$(SHARE)/systemd/* $(DESTDIR)$(UNITDIR) && rmdir $(DESTDIR)$(SHARE)/systemd
	chmod -R u=rwX,go=rX $(DESTDIR)$(SHARE) $(DESTDIR)$(UNITDIR)/fd0-*
	$(INSTALL) -d -m 755 $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d $(DESTDIR)$(SYSCONFDIR)
	$(INSTALL) -m 644 packaging/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/fd0.conf
	$(INSTALL) -m 644 packaging/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/fd0.conf
	[ -e $(DESTDIR)$(SYSCONFDIR)/common.conf ] || $(INSTALL) -m 644 packaging/common.conf $(DESTDIR)$(SYSCONFDIR)/common.conf

uninstall:      ## Take away what `make install` put there; say what of yours is left.
	rm -rf $(DESTDIR)$(LIBRARY) $(DESTDIR)$(SHARE) $(DESTDIR)$(PREFIX)/bin/fd0
	rm -f $(DESTDIR)$(UNITDIR)/fd0-*
	rm -f $(DESTDIR)$(PREFIX)/lib/sysusers.d/fd0.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/fd0.conf

deb:            ## Build the Debian package into dist/, with the system's tools and no network.
	rm -rf build/deb && mkdir -p build/deb/fd0 dist
	cp -R Makefile README.md LICENSE daemons packaging debian build/deb/fd0
	find build/deb -name __pycache__ -prune -exec rm -rf {} +
	cd build/deb/fd0 && env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/nonexistent LC_ALL=C.UTF-8 dpkg-buildpackage -us -uc -b
	mv build/deb/*.deb build/deb/*.changes build/deb/*.buildinfo dist/

clean:          ## Take away what the other targets made in this checkout.
	rm -rf $(VENV) .tox .launchers build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
