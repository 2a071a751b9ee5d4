"""A game that goes by a script, for tests that must know every frame."""

import json

import numpy as np

from research.dqn import game


class ScriptedGame(game.Game):
    """Shows the number of its frame, scores it, loses a life and ends when it is told.

    Every episode has `frames` frames; the reward of frame k is k, the screen is all k (modulo
    256), and lives are 3 until one is lost in each of `losses`. `raises` is a frame that fails.
    """

    name = 'scripted'
    action_names = ('NOOP', 'A', 'B')
    screen_shape = (8, 8, 3)

    def __init__(self, frames=22, losses=(), raises=None, seed=0):
        self.frames, self.losses, self.raises = frames, losses, raises
        self.seed = seed
        self.actions = []
        self.reset()

    def reset(self):
        self.frame = 0

    def act(self, action):
        self.frame += 1
        if self.frame == self.raises:
            raise OSError('the cable came off')
        self.actions.append(action)
        return self.frame

    def is_over(self):
        return self.frame >= self.frames

    def lives(self):
        return 3 - sum(self.frame >= loss for loss in self.losses)

    def screen(self, out):
        out[:] = self.frame % 256

    def state(self):
        return json.dumps(self.frame).encode()

    def restore(self, state):
        self.frame = json.loads(state)


def encoded(frame, size=4):
    """What phi makes of a frame of it: the luminance of a grey is the grey."""
    return np.full((size, size), frame, np.uint8)
