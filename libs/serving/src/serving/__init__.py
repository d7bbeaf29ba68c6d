"""The HTTP shell of a scoring service."""
