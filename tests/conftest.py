"""Being here, in a package, this file makes pytest put the checkout on sys.path: `from tests.live import launchers`.

Hypothesis draws the same every time, so that the suite is stable; --hypothesis-profile=deep looks further.
"""

import gc

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("stable", derandomize=True, database=None, deadline=None,
                          suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", settings.get_profile("stable"), derandomize=False, max_examples=5000)
settings.load_profile("stable")


@pytest.fixture(autouse=True, scope="module")
def descriptors_of_the_module_before():
    """What a module's objects held open is let go of: select(2) knows no descriptor beyond 1023."""
    yield
    gc.collect()
