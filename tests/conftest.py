"""Being here, in a package, this file makes pytest put the checkout on sys.path: `from tests.live import launchers`."""
