"""The methods, each a short sum of parts."""

from palmette.methods.fairnas import FairNAS
from palmette.methods.greedynas import GreedyNAS
from palmette.methods.spos import SPOS

__all__ = ["SPOS", "FairNAS", "GreedyNAS"]
