"""スキル経験スコア: how strong is this person's skill experience?"""
