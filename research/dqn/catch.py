"""A small game of pixels that needs no ROM and is learnt in about a minute."""

from __future__ import annotations

import json

import numpy as np

from research.dqn import game

_SIZE = 40  # Height and width of the screen in pixels.
_BALL = 4
_PADDLE = 10
_PADDLE_TOP = _SIZE - 2
_BALL_COLOR = (200, 72, 72)
_PADDLE_COLOR = (92, 186, 92)


class Catch(game.Game):
    """Catch falling balls with a paddle: one point each, three misses or ten balls end the game.

    As on an Atari, the ball is drawn on every other frame only. It falls one pixel a frame, moves
    sideways by one pixel on every other frame or not at all, and bounces off the walls, so where it
    comes down takes more than one frame to tell; the paddle moves one pixel a frame. Every ball can
    be caught: the highest score is 10.

    Args:
      balls: balls in an episode.
      seed: where the balls begin.
    """

    name = 'catch'
    action_names = ('NOOP', 'LEFT', 'RIGHT')
    screen_shape = (_SIZE, _SIZE, 3)

    def __init__(self, balls: int = 10, seed: int = 0):
        self.balls = balls
        self._seed = seed
        self._thrown = 0  # Balls ever thrown: the clock of the random numbers.
        self.reset()

    def reset(self) -> None:
        self._paddle = (_SIZE - _PADDLE) // 2
        self._left = self.balls
        self._lives = 3
        self._frame = 0
        self._throw()

    def _throw(self) -> None:
        random = np.random.Generator(np.random.Philox(key=[self._seed, self._thrown]))
        self._thrown += 1
        self._ball = [0, int(random.integers(_SIZE - _BALL + 1))]
        self._drift = int(random.integers(-1, 2))

    def act(self, action: int) -> float:
        self._frame += 1
        step = (0, -1, 1)[action]
        self._paddle = min(max(self._paddle + step, 0), _SIZE - _PADDLE)
        self._ball[0] += 1
        if self._frame % 2:
            column = self._ball[1] + self._drift
            if not 0 <= column <= _SIZE - _BALL:
                self._drift = -self._drift
                column = self._ball[1] + self._drift
            self._ball[1] = column
        if self._ball[0] + _BALL <= _PADDLE_TOP:
            return 0.0
        caught = self._paddle - _BALL < self._ball[1] < self._paddle + _PADDLE
        self._lives -= not caught
        self._left -= 1
        if not self.is_over():
            self._throw()
        return float(caught)

    def is_over(self) -> bool:
        return self._left == 0 or self._lives == 0

    def lives(self) -> int:
        return self._lives

    def screen(self, out: np.ndarray) -> None:
        out[:] = 0
        out[_PADDLE_TOP:, self._paddle : self._paddle + _PADDLE] = _PADDLE_COLOR
        if self._frame % 2 == 0:
            row, column = self._ball
            out[row : row + _BALL, column : column + _BALL] = _BALL_COLOR

    def state(self) -> bytes:
        return json.dumps(
            [
                self._thrown,
                self._paddle,
                self._left,
                self._lives,
                self._frame,
                self._ball,
                self._drift,
            ]
        ).encode()

    def restore(self, state: bytes) -> None:
        (
            self._thrown,
            self._paddle,
            self._left,
            self._lives,
            self._frame,
            self._ball,
            self._drift,
        ) = json.loads(state)
