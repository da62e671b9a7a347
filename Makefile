# fd0: `make run` tries everything, `make check` proves everything, `make install` puts it in place.

PYTHON  ?= python3
PREFIX  ?= /usr/local
DESTDIR ?=
LIBRARY  = $(PREFIX)/lib/fd0
SHARE    = $(PREFIX)/share/fd0
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSCONFDIR = /etc/fd0
MANDIR  ?= $(PREFIX)/share/man
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d
# all directories that an installation has, and where is noted which of them it made
PLACES   = $(LIBRARY) $(SHARE) $(PREFIX)/bin $(UNITDIR) $(PREFIX)/lib/sysusers.d $(PREFIX)/lib/tmpfiles.d $(SYSCONFDIR) \
           $(MANDIR)/man1 $(MANDIR)/man5 $(MANDIR)/man7 $(MANDIR)/man8 $(BASHDIR) $(ZSHDIR) $(FISHDIR)
MADE     = $(SHARE)/directories
INSTALL ?= install
COPY     = tar -cf - --exclude=__pycache__
BUILD   ?= build
DIST    ?= dist
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
	@$(VENV)/bin/python -m pip install -q --disable-pip-version-check aiosmtpd bottle dkimpy dnspython pynacl pyspf pytest pytest-xdist tox hypothesis cryptography 'psycopg[binary]' pyOpenSSL ruff mypy websockets 'setuptools>=70.1'
	@touch $@

launchers:      ## Install the launchers and clients that the live tests start (Debian packages).
	@sh .ci/launchers $(AS_ROOT)

units: $(VENV)/bin/python       ## Write xinetd.d/ and systemd/ anew from the programs' declarations.
	$(VENV)/bin/python -m daemons.tools units --to=.

.SILENT: install place uninstall

install:        ## Install everything under PREFIX (default /usr/local); with DESTDIR into a tree, for packages.
	$(MAKE) --no-print-directory place
ifeq ($(DESTDIR),)
	[ "$$(id -u)" != 0 ] || sh packaging/account make $(PREFIX)/lib/sysusers.d/fd0.conf $(PREFIX)/lib/tmpfiles.d/fd0.conf
	[ ! -d /run/systemd/system ] || sh packaging/renew
	@echo "installed; to put a service in place: fd0 enable NAME --with=xinetd|systemd|inetd   (fd0 list names them)"
endif

place:
	sh packaging/directories make '$(DESTDIR)' $(MADE) $(PLACES)
	rm -rf $(DESTDIR)$(LIBRARY)/daemons
	$(COPY) daemons | tar -xof - -C $(DESTDIR)$(LIBRARY)
	chmod -R u=rwX,go=rX $(DESTDIR)$(LIBRARY)
	$(FD0) stubs --to=$(DESTDIR)$(LIBRARY) --library=$(LIBRARY) --python=$(SYSTEM_PYTHON) >/dev/null
	umask 022; [ "$(COMPILE)" = no ] || $(SYSTEM_PYTHON) -m compileall -q -s $(DESTDIR)$(LIBRARY) -p $(LIBRARY) $(DESTDIR)$(LIBRARY)/daemons
	printf '#!%s -P\nimport sys\nsys.path.insert(0, "%s")\nfrom daemons.tools.__main__ import main\nsys.exit(main())\n' \
		$(SYSTEM_PYTHON) $(LIBRARY) > $(DESTDIR)$(PREFIX)/bin/fd0
	chmod 755 $(DESTDIR)$(PREFIX)/bin/fd0
	$(FD0) units --to=$(DESTDIR)$(SHARE) --library=$(LIBRARY) >/dev/null
	mv $(DESTDIR)$(SHARE)/systemd/* $(DESTDIR)$(UNITDIR) && rmdir $(DESTDIR)$(SHARE)/systemd
	chmod -R u=rwX,go=rX $(DESTDIR)$(SHARE) $(DESTDIR)$(UNITDIR)/fd0-*
	$(FD0) manual --to=$(DESTDIR)$(MANDIR) --library=$(LIBRARY) >/dev/null
	chmod 644 $(DESTDIR)$(MANDIR)/man1/fd0.1 $(DESTDIR)$(MANDIR)/man5/fd0.conf.5 $(DESTDIR)$(MANDIR)/man7/fd0-mail.7 $(DESTDIR)$(MANDIR)/man8/fd0-*.8
	umask 022 && $(FD0) completion bash > $(DESTDIR)$(BASHDIR)/fd0
	umask 022 && $(FD0) completion zsh > $(DESTDIR)$(ZSHDIR)/_fd0
	umask 022 && $(FD0) completion fish > $(DESTDIR)$(FISHDIR)/fd0.fish
	$(INSTALL) -m 644 packaging/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/fd0.conf
	$(INSTALL) -m 644 packaging/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/fd0.conf
	[ -e $(DESTDIR)$(SYSCONFDIR)/common.conf ] || $(INSTALL) -m 644 packaging/common.conf $(DESTDIR)$(SYSCONFDIR)/common.conf

uninstall:      ## Take away what `make install` put there; say what of yours is left.
ifeq ($(DESTDIR),)
	[ ! -x $(PREFIX)/bin/fd0 ] || [ "$$(id -u)" != 0 ] || $(PREFIX)/bin/fd0 disable --all
endif
	rm -rf $(DESTDIR)$(LIBRARY) $(DESTDIR)$(PREFIX)/bin/fd0 $(DESTDIR)$(SHARE)/xinetd.d
	rm -f $(DESTDIR)$(UNITDIR)/fd0-*.socket $(DESTDIR)$(UNITDIR)/fd0-*.service
	rm -f $(DESTDIR)$(PREFIX)/lib/sysusers.d/fd0.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/fd0.conf
	rm -f $(DESTDIR)$(MANDIR)/man1/fd0.1 $(DESTDIR)$(MANDIR)/man5/fd0.conf.5 $(DESTDIR)$(MANDIR)/man7/fd0-mail.7 $(DESTDIR)$(MANDIR)/man8/fd0-*.8
	rm -f $(DESTDIR)$(BASHDIR)/fd0 $(DESTDIR)$(ZSHDIR)/_fd0 $(DESTDIR)$(FISHDIR)/fd0.fish
	! cmp -s packaging/common.conf $(DESTDIR)$(SYSCONFDIR)/common.conf || rm $(DESTDIR)$(SYSCONFDIR)/common.conf
	[ ! -e $(DESTDIR)$(MADE) ] || { made=$$(cat $(DESTDIR)$(MADE)) && rm $(DESTDIR)$(MADE) && \
		echo "$$made" | sh packaging/directories remove '$(DESTDIR)'; }
	@[ ! -d $(DESTDIR)$(SYSCONFDIR) ] || echo "kept, since it is yours: $$(echo $(DESTDIR)$(SYSCONFDIR)/*)"
ifeq ($(DESTDIR),)
	@[ "$$(id -u)" != 0 ] || sh packaging/account remove
	@[ ! -d /run/systemd/system ] || systemctl daemon-reload
endif

deb:            ## Build the Debian package into dist/, with the system's tools and no network.
	rm -rf $(BUILD)/deb && mkdir -p $(BUILD)/deb/fd0 $(DIST)
	$(COPY) Makefile README.md LICENSE daemons packaging debian | tar -xof - -C $(BUILD)/deb/fd0
	cd $(BUILD)/deb/fd0 && env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/nonexistent LC_ALL=C.UTF-8 dpkg-buildpackage -us -uc -b
	mv $(BUILD)/deb/*.deb $(BUILD)/deb/*.changes $(BUILD)/deb/*.buildinfo $(DIST)

dist: $(VENV)/ready     ## Build a wheel and an sdist into dist/.
	@$(VENV)/bin/python -m pip install -q --disable-pip-version-check 'setuptools>=70.1'
	rm -rf build/lib build/bdist.* fd0.egg-info && mkdir -p dist
	$(VENV)/bin/python -c 'from setuptools import build_meta as b; b.build_sdist("dist"); b.build_wheel("dist")' >/dev/null
	rm -rf build/lib build/bdist.* fd0.egg-info
	@ls dist/fd0-*.whl dist/fd0-*.tar.gz

clean:          ## Take away what the other targets made in this checkout.
	rm -rf $(VENV) .tox .launchers build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
