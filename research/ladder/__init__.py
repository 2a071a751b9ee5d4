"""Semi-supervised learning with Ladder networks (Rasmus et al. 2015)."""

from research.ladder.data import two_stream
from research.ladder.model import LadderNetwork

__all__ = ['LadderNetwork', 'two_stream']
