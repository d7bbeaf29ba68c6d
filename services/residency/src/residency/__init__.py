"""海外居住判定: does this person live abroad?"""

from residency.service import SERVICE

__all__ = ["SERVICE"]
