"""Match R-CNN (Ge et al. 2019, "DeepFashion2")."""

# No `from __future__ import annotations`: the name would hide the module `annotations`.

import importlib

_MODULES = {'MatchRCNN': 'model'}
__all__ = list(_MODULES)


def __getattr__(name: str):
    # When asked for: drawing garments and counting a data set need no network.
    if name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.{_MODULES[name]}'), name)
