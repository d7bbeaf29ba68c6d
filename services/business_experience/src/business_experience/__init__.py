"""ビジネス経験スコア: How much experience does this person have in business?"""

from business_experience.service import SERVICE

__all__ = ["SERVICE"]
