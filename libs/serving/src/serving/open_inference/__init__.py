"""The Open Inference Protocol, version 2, so that its clients work unchanged."""

from serving.open_inference.routes import OpenInference

__all__ = ["OpenInference"]
