"""`POST /v1/score/bulk`: JSON at once, NDJSON and Arrow as streams of any length."""

from serving.bulk.endpoint import BulkEndpoint

__all__ = ["BulkEndpoint"]
