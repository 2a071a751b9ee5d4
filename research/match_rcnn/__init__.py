"""Match R-CNN (Ge et al. 2019, "DeepFashion2")."""

# No `from __future__ import annotations` here: it would stand in the place of the module
# `annotations` of this package.

__all__ = ['MatchRCNN']


def __getattr__(name: str):
    # When asked for: drawing garments and counting a data set need no TensorFlow.
    if name == 'MatchRCNN':
        from research.match_rcnn.model import MatchRCNN

        return MatchRCNN
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
