"""The methods, each a short sum of parts."""

from palmette.methods.darts import DARTS
from palmette.methods.enas import ENAS
from palmette.methods.fairnas import FairNAS
from palmette.methods.fbnet import FBNet
from palmette.methods.greedynas import GreedyNAS
from palmette.methods.proxylessnas import ProxylessNAS
from palmette.methods.smash import SMASH
from palmette.methods.spos import SPOS

__all__ = ["DARTS", "ENAS", "SMASH", "SPOS", "FBNet", "FairNAS", "GreedyNAS", "ProxylessNAS"]
