"""The service under test without the observer that counts rows and drift: what that costs is the difference.

Composed here and not by a setting, as nobody should serve so.
"""

from bench.service import SERVICE
from serving import run, runtime

__all__ = ["unobserved"]


def unobserved() -> None:
    """Open predictors without the counting observer from now on in this process."""
    opened = runtime.open_predictor
    runtime.open_predictor = lambda models, service, settings, _, measures: opened(  # type: ignore[assignment,misc]
        models, service, settings, (), measures
    )


if __name__ == "__main__":
    unobserved()
    run(SERVICE)
