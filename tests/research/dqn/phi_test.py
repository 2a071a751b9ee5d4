"""phi against a slow reference from the paper's words, on real frames."""

import itertools

import numpy as np
import pytest

from research.dqn import atari, phi
from tests.research.dqn import numpy_algorithm_1


def slow_phi(frame, previous, size):
    """Maximum, luminance, bilinear rescaling in float64, pixel by pixel; not rounded."""
    biggest = np.maximum(frame, previous).astype(np.float64)
    luminance = biggest @ [0.299, 0.587, 0.114]
    height, width = luminance.shape
    out = np.zeros((size, size))
    for y in range(size):
        for x in range(size):
            row = (y + 0.5) * height / size - 0.5
            column = (x + 0.5) * width / size - 0.5
            top, left = int(np.floor(row)), int(np.floor(column))
            for r, row_share in ((top, 1 - (row - top)), (top + 1, row - top)):
                for c, column_share in ((left, 1 - (column - left)), (left + 1, column - left)):
                    r_inside = min(max(r, 0), height - 1)
                    c_inside = min(max(c, 0), width - 1)
                    out[y, x] += row_share * column_share * luminance[r_inside, c_inside]
    return out


def frames(game, count, seed=0):
    """Pairs of consecutive screens of a real game under random play."""
    play = atari.AtariGame(game, seed=seed)
    random = np.random.default_rng(seed)
    play.reset()
    screens = []
    for _ in range(400):
        play.act(int(random.integers(len(play.action_names))))
        screen = np.empty(play.screen_shape, np.uint8)
        play.screen(screen)
        screens.append(screen)
    pairs = [(new, old) for old, new in itertools.pairwise(screens) if np.any(new != old)]
    return pairs[:: len(pairs) // count][:count]


@pytest.mark.parametrize('game', ['space_invaders', 'pong', 'seaquest'])
def test_phi_of_real_frames(game):
    for frame, previous in frames(game, 3):
        encoded = phi.encode(frame, previous)
        assert encoded.shape == (84, 84) and encoded.dtype == np.uint8
        error = encoded - slow_phi(frame, previous, 84)
        # Luminance and result are rounded to the nearest whole number, by a half each at most.
        # 210 rows to 84 have weights in quarters; those of the columns, in units of 1/256, cost
        # up to half a grey where black meets white, but never beside a full half of both.
        assert np.abs(error).max() <= 1
        assert np.abs(error).mean() < 0.3
        # Rounded to the nearest both times: a weight of 1/256 changes few of the whole numbers.
        assert np.mean(encoded != numpy_algorithm_1.encode(frame, previous, 84)) < 0.03


def test_the_maximum_is_of_each_colour():
    red, green = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    red[..., 0], green[..., 1] = 200, 100
    # 0.299 * 200 + 0.587 * 100 = 118.5; the maximum of the luminances would be 59.8.
    assert np.all(np.abs(phi.encode(red, green, 4).astype(float) - 118.5) <= 0.51)


@pytest.mark.parametrize(
    'height, width, size', [(210, 160, 84), (250, 160, 84), (40, 40, 20), (33, 77, 50)]
)
def test_tensorflow_gives_the_same_bytes(height, width, size):
    random = np.random.default_rng(1)
    screens = random.integers(0, 256, (2, 3, 2, height, width, 3), dtype=np.uint8)
    stacks = phi.tensor(screens, size).numpy()
    assert stacks.shape == (2, size, size, 3)
    for batch in range(2):
        for frame in range(3):
            np.testing.assert_array_equal(
                stacks[batch, ..., frame],
                phi.encode(screens[batch, frame, 1], screens[batch, frame, 0], size),
            )
