"""`python -m residency`."""

import serving
from residency import SERVICE

if __name__ == "__main__":
    serving.run(SERVICE)
