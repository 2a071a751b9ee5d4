"""Human-level control through deep reinforcement learning (Mnih et al. 2015)."""

from research.dqn.network import NatureQNetwork
from research.dqn.replay import FrameReplay

__all__ = ['FrameReplay', 'NatureQNetwork']
