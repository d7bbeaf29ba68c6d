"""`python -m skill_experience`."""

import serving
from skill_experience import SERVICE

if __name__ == "__main__":
    serving.run(SERVICE)
