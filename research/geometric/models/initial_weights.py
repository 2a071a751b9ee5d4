"""Initial weights that follow from a model's seed alone, of layers that Keras draws for."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

from official.compat import keras_private


@contextlib.contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Weights that are made inside are those after `tf.keras.utils.set_random_seed(seed)`.

    Every initializer without a seed takes one from a generator of Keras. Here it is another one for
    a while, so that nothing outside draws other numbers than before.

    Args:
      seed: of the weights.
    """
    state = keras_private.seed_generator()
    before = getattr(state, 'generator', None)
    state.generator = random.Random(seed)
    try:
        yield
    finally:
        if before is None:
            del state.generator
        else:
            state.generator = before
