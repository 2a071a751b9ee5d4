"""The replay server dm-reverb, and what tf-agents builds on it.

Its last release (0.14.0) is built against TensorFlow 2.15 and for Python 3.11 at most: the second
stack has none, and there a run is one process, with the replay memory in it.
"""

from __future__ import annotations

try:
    import reverb
    from tf_agents.experimental.distributed import reverb_variable_container
except ImportError as error:
    raise ImportError(
        'Actors on other machines need dm-reverb, which exists for TensorFlow 2.15 on Python 3.11 '
        f'only ({error}); learn in one process (as gin_configs/dqn/catch.gin) or use that stack.'
    ) from None

__all__ = ['reverb', 'reverb_variable_container']
