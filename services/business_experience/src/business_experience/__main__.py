"""`python -m business_experience`."""

import serving
from business_experience import SERVICE

if __name__ == "__main__":
    serving.run(SERVICE)
