"""Match R-CNN (Ge et al. 2019, "DeepFashion2")."""

from research.match_rcnn.model import MatchRCNN

__all__ = ['MatchRCNN']
