"""The HTTP shell of a scoring service."""

from serving.app import create_app
from serving.run import run
from serving.runtime import CurrentCaller, CurrentResource, CurrentRuntime, Runtime
from serving.service import Service
from serving.settings import Settings

__all__ = ["CurrentCaller", "CurrentResource", "CurrentRuntime", "Runtime", "Service", "Settings", "create_app", "run"]
