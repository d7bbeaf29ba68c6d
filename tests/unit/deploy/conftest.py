"""`deploy` is a folder of the repository and not an installed package."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
sys.path.insert(0, str(REPOSITORY))
