"""時給診断: what is this person's work worth an hour?"""

from hourly_rate.service import SERVICE

__all__ = ["SERVICE"]
