"""Atari 2600 games in the Arcade Learning Environment (Bellemare et al. 2013)."""

from __future__ import annotations

import numpy as np

from research.dqn import game, games


class AtariGame(game.Game):
    """One emulator; the ROMs come with ale-py.

    - The minimal action set, as Mnih et al. 2015 has it ("legal game actions").
    - The difficulty and mode that the emulator begins with.

    Args:
      rom: name of the game's ROM, such as 'pong' or 'space_invaders'.
      repeat_action_probability: "sticky actions" (Machado et al. 2018), the chance that a frame
        repeats the action before in place of its own; 0 in the paper.
      seed: of the sticky actions.

    Raises:
      ValueError: there is no such game; the message names near matches.
      FileNotFoundError: its ROM is missing.
    """

    def __init__(self, rom: str, repeat_action_probability: float = 0.0, seed: int = 0):
        import ale_py

        if not isinstance(rom, str) or not rom:
            raise ValueError(f'AtariGame.rom = {rom!r} must be the name of a game.')
        path = games.check_game(rom)
        if not 0 <= repeat_action_probability < 1:
            raise ValueError(
                f'AtariGame.repeat_action_probability = {repeat_action_probability} '
                'is outside [0, 1).'
            )
        # Otherwise every emulator greets the user with a page.
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._emulator = ale_py.ALEInterface()
        self._emulator.setInt('random_seed', seed % 2**31)
        self._emulator.setFloat('repeat_action_probability', repeat_action_probability)
        self._emulator.loadROM(path)
        self._actions = self._emulator.getMinimalActionSet()
        self._state_class = ale_py.ALEState
        self.name = rom
        self.action_names = tuple(action.name for action in self._actions)
        self.screen_shape = (*self._emulator.getScreenDims(), 3)

    def reset(self) -> None:
        self._emulator.reset_game()

    def act(self, action: int) -> float:
        return self._emulator.act(self._actions[action])

    def is_over(self) -> bool:
        return self._emulator.game_over()

    def lives(self) -> int:
        return self._emulator.lives()

    def screen(self, out: np.ndarray) -> None:
        self._emulator.getScreenRGB(out)

    def state(self) -> bytes:
        return self._emulator.cloneSystemState().serialize()

    def restore(self, state: bytes) -> None:
        self._emulator.restoreSystemState(self._state_class(state))
