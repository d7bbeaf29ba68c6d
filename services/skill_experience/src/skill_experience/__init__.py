"""スキル経験スコア: How much experience does this person have in their skills?"""

from skill_experience.service import SERVICE

__all__ = ["SERVICE"]
