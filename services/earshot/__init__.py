"""Earshot: speech in, labels out."""

__version__ = "0.1.0"
