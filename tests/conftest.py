"""Being here, in a package, this file makes pytest put the checkout on sys.path: `from tests.live import launchers`.

Hypothesis draws the same every time, so that the suite is stable; --hypothesis-profile=deep looks further.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("stable", derandomize=True, database=None, deadline=None,
                          suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", settings.get_profile("stable"), derandomize=False, max_examples=5000)
settings.load_profile("stable")
