"""The small game of pixels."""

import numpy as np
import pytest

from research.dqn import catch


def screen(game):
    out = np.empty(game.screen_shape, np.uint8)
    game.screen(out)
    return out


def oracle(game):
    """Moves the paddle under where the ball is going to be."""
    row, column = game._ball
    drift, frame = game._drift, game._frame
    while row + 4 <= 38:
        row, frame = row + 1, frame + 1
        if frame % 2:
            column += drift
            if not 0 <= column <= 36:
                drift = -drift
                column += 2 * drift
    wanted = column - 3
    return 0 if wanted == game._paddle else 2 if wanted > game._paddle else 1


@pytest.mark.parametrize('seed', range(20))
def test_every_ball_can_be_caught(seed):
    game = catch.Catch(seed=seed)
    score = 0.0
    while not game.is_over():
        # As an agent must: an action for four frames.
        action = oracle(game)
        for _ in range(4):
            if not game.is_over():
                score += game.act(action)
    assert score == 10 and game.lives() == 3


def test_standing_still_loses_lives():
    game = catch.Catch(seed=1)
    lives, score = [game.lives()], 0.0
    while not game.is_over():
        score += game.act(0)
        lives.append(game.lives())
    assert lives[-1] == 0 and score < 6
    assert set(np.diff(lives)) == {0, -1}


def test_the_ball_blinks_and_the_paddle_moves():
    game = catch.Catch(seed=0)
    assert (screen(game) == (200, 72, 72)).all(axis=-1).sum() == 16
    game.act(2)
    assert not (screen(game) == (200, 72, 72)).all(axis=-1).any()
    paddle = np.flatnonzero((screen(game)[-1] == (92, 186, 92)).all(axis=-1))
    assert list(paddle) == list(range(16, 26))  # One pixel right of the middle.
    for _ in range(100):
        game.act(1)
    assert screen(game)[-1, 0].any()  # It stops at the wall.


def test_balls_are_thrown_by_seed():
    def columns(seed):
        game, seen = catch.Catch(seed=seed), []
        for _ in range(40):
            seen.append(game._ball[1])
            game.reset()
        return seen

    assert columns(3) == columns(3) != columns(4)
    assert max(columns(3)) > 30 and min(columns(3)) < 6
