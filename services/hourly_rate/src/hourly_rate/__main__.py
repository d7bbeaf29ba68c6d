"""`python -m hourly_rate`."""

import serving
from hourly_rate import SERVICE

if __name__ == "__main__":
    serving.run(SERVICE)
