"""The prediction log and feedback in the warehouse: from Redis to Parquet, kept small, kept only as long as stated.

Its modules are imported where they are used: an idle run must not load pyarrow.
"""
