"""推薦評価値・自動リストアップ: how well do a person and a job fit?"""
