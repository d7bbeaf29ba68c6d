"""The evaluation is a program beside the packages; its tests import it, and the local platform, from their folders."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
sys.path += [str(REPOSITORY), str(REPOSITORY / "tests" / "evaluation")]
