"""The methods, each a short sum of parts."""

from palmette.methods.spos import SPOS

__all__ = ["SPOS"]
