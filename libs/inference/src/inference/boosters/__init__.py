"""Native boosters through their C APIs.

`import lightgbm` takes 4 s and brings pandas and scikit-learn with it; the shared library inside the package takes
milliseconds. The packages are installed for their libraries and never imported.
"""

from inference.boosters.loading import load_booster
from inference.boosters.protocol import Booster

__all__ = ["Booster", "load_booster"]
