"""`python -m recommendation`."""

import serving
from recommendation import SERVICE

if __name__ == "__main__":
    serving.run(SERVICE)
