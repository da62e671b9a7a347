"""What programs load before their greeting: every module costs each `nowait` conversation its time."""

import pytest

from bench import startup
from daemons.tools import programs
from tests.certificates import Authority

HEAVY = {"argparse", "asyncio", "ctypes", "dataclasses", "email", "hashlib", "inspect", "logging", "pathlib", "re",
         "sqlite3", "ssl", "subprocess", "tempfile", "threading", "tomllib", "traceback", "typing", "unittest"}


@pytest.mark.parametrize("service", programs.launched(), ids=lambda service: service.name)
def test_loads_only_what_the_list_allows(service):
    assert startup.beyond(service) == []


def test_nothing_heavy_is_allowed():
    allowed = {*startup.ALLOWED, *startup.STAYING}.union(*startup.ALSO.values())
    assert not HEAVY & {name.partition(".")[0] for name in allowed}


def test_tls_is_loaded_by_its_option_and_by_nothing_else(tmp_path):
    service = programs.program("echod").SERVICE
    certificate, key = Authority(tmp_path).pair("localhost")
    tls = {"ssl", "_ssl", "daemons.kernel.tls", "daemons.kernel.certificate"}
    assert not tls & set(startup.loaded(service))
    assert not tls & set(startup.loaded(service, options=["--tls=no", f"--tls-cert={certificate}"]))
    assert tls <= set(startup.loaded(service, options=[f"--tls-cert={certificate}", f"--tls-key={key}"]))


def test_a_module_that_is_not_on_the_list_is_found(monkeypatch):
    service = programs.program("echod").SERVICE
    monkeypatch.setattr(startup, "ALLOWED", [name for name in startup.ALLOWED if name != "syslog"])
    assert startup.beyond(service) == ["syslog"]


@pytest.mark.parametrize("arguments, modules", [
    (["--per-source=3", "--rate=9", "--limits={}"], {"fcntl", "struct", "_struct", "daemons.kernel.limits",
                                                     "daemons.kernel.limitsfile"}),
    (["--timeout=30", "--session=60"], set())])
def test_limits_load_little_and_only_where_they_are_set(monkeypatch, tmp_path, arguments, modules):
    service = programs.program("echod").SERVICE
    monkeypatch.setitem(startup.ARGUMENTS, "echod", [word.format(tmp_path / "limits") for word in arguments])
    assert set(startup.beyond(service)) <= modules and set(startup.loaded(service)) >= modules
