"""The version of fastrot."""

__version__ = "0.1.0"
