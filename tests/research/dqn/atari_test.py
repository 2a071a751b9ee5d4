"""The emulator behind a game."""

import collections

import numpy as np
import pytest

from research.dqn import atari, games


def play(game, actions):
    scores = []
    for action in actions:
        scores.append(game.act(action))
        if game.is_over():
            game.reset()
    screen = np.empty(game.screen_shape, np.uint8)
    game.screen(screen)
    return scores, screen


def test_minimal_action_sets():
    """'Between 4 and 18' valid actions (Methods, "Model architecture"); Freeway has 3."""
    for rom, number in (('breakout', 4), ('space_invaders', 6), ('seaquest', 18)):
        assert len(atari.AtariGame(rom).action_names) == number
    sizes = {rom: len(atari.AtariGame(rom).action_names) for rom in games.GAMES}
    assert {rom for rom, size in sizes.items() if not 4 <= size <= 18} == {'freeway'}
    assert sizes['freeway'] == 3 and min(set(sizes.values()) - {3}) == 4
    assert atari.AtariGame('breakout').action_names == ('NOOP', 'FIRE', 'RIGHT', 'LEFT')


def test_the_paper_has_no_sticky_actions():
    game = atari.AtariGame('breakout')
    assert game._emulator.getFloat('repeat_action_probability') == 0
    assert game.lives() == 5
    actions = np.random.default_rng(0).integers(4, size=600)
    one, other = (
        play(atari.AtariGame('breakout', seed=1), actions),
        play(atari.AtariGame('breakout', seed=2), actions),
    )
    assert one[0] == other[0]
    np.testing.assert_array_equal(one[1], other[1])


def test_sticky_actions_are_random_by_their_seed():
    actions = np.random.default_rng(0).integers(3, 5, size=800)
    screens = collections.defaultdict(list)
    for seed in (1, 1, 2):
        game = atari.AtariGame('space_invaders', repeat_action_probability=0.25, seed=seed)
        screens[seed].append(play(game, actions)[1])
    np.testing.assert_array_equal(*screens[1])
    assert np.any(screens[1][0] != screens[2][0])


def test_lives_and_end_are_known_after_a_restore():
    game = atari.AtariGame('breakout')
    game.reset()
    random = np.random.default_rng(0)
    while game.lives() > 2:
        game.act(int(random.integers(4)))
    state = game.state()
    other = atari.AtariGame('breakout')
    other.reset()
    other.restore(state)
    assert other.lives() == 2 and not other.is_over()
    actions = random.integers(4, size=3000)
    assert play(game, actions)[0] == play(other, actions)[0]


def test_bad_input():
    with pytest.raises(ValueError, match='space_invaders'):
        atari.AtariGame('space_invader')
    with pytest.raises(ValueError, match=r'repeat_action_probability = 1 is outside \[0, 1\)'):
        atari.AtariGame('pong', repeat_action_probability=1)
    for rom in ('', 3, None):
        with pytest.raises(ValueError, match=f'AtariGame.rom = {rom!r} must be the name of a game'):
            atari.AtariGame(rom)
