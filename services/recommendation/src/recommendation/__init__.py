"""推薦評価値・自動リストアップ: how well do a person and a job fit, and who fits a job best?"""

from recommendation.service import SERVICE

__all__ = ["SERVICE"]
