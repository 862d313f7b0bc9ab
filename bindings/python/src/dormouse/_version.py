"""The version of this package, which is that of the library that it was made for."""

__version__ = "0.2.0"
