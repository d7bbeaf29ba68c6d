"""ビジネス経験スコア: how strong is this person's business experience?"""
