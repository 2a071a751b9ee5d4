import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import ConnectionPatch

from official.core import figures
from research.dqn import pictures, selection
from tests.research.dqn import drawn


@pytest.fixture
def drawings(monkeypatch):
    return drawn.recorded(monkeypatch)


def numbered_screens(number):
    """Screens whose colour tells their number."""
    screens = np.zeros((number, 21, 16, 3), np.uint8)
    screens[..., 0], screens[..., 1] = (
        np.arange(number)[:, None, None] // 256,
        np.arange(number)[:, None, None] % 256,
    )
    return screens


def number_of(axes):
    red, green, _ = axes.images[0].get_array()[10, 8]
    return int(red) * 256 + int(green)


def two_groups(number, units=60, seed=0):
    group = np.arange(number) % 2
    return np.random.default_rng(seed).normal(size=(number, units)) + 20 * group[:, None], group


def shots(drawing):
    """(number of the screen, colour of its border, title, its line) of each screenshot."""
    found = []
    for axes in drawing.axes:
        if axes.images:
            (line,) = (
                line
                for line in drawing.artists
                if isinstance(line, ConnectionPatch) and line.coords2 is axes.transAxes
            )
            found.append(
                (
                    number_of(axes),
                    to_hex(axes.spines['left'].get_edgecolor()),
                    axes.get_title(),
                    line,
                )
            )
    return found


def crossing(one, other):
    def side(start, end, point):
        return np.sign(np.linalg.det(np.array([end - start, point - start])))

    (a, b), (c, d) = one, other
    return side(a, b, c) != side(a, b, d) and side(c, d, a) != side(c, d, b)


def segments(drawing, lines):
    return [
        np.array([line.coords1.transform(line.xy1), line.coords2.transform(line.xy2)])
        for line in lines
    ]


def test_embedding_shows_each_state_at_its_place_in_its_colour(drawings):
    hidden, group = two_groups(70)
    values = np.linspace(-3, 5, 70)[np.random.default_rng(1).permutation(70)]
    text = pictures.embedding(hidden, values, numbered_screens(70), 0)
    (drawing,) = drawings
    (scatter,) = drawing.axes[0].collections
    points = np.asarray(scatter.get_offsets())
    np.testing.assert_array_equal(scatter.get_array(), values)
    # The nearest neighbour of each state is of its group.
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert (group[distance.argmin(1)] == group).all()
    shown = shots(drawing)
    assert len(shown) == 8 and len({number for number, *_ in shown}) == 8
    assert {int(values.argmax()), int(values.argmin())} <= {number for number, *_ in shown}
    # Far from each other in the plane: both groups are shown.
    assert 2 <= sum(group[number] for number, *_ in shown) <= 6
    colors = matplotlib.colormaps['turbo']
    for number, color, title, line in shown:
        np.testing.assert_allclose(line.xy1, points[number])
        assert title == f'V = {values[number]:.2f}'
        assert color == to_hex(colors((values[number] + 3) / 8))
    assert 'all 70' in text and text.startswith('<figure>') and '-3 to 5' in text


def test_lines_to_the_screenshots_do_not_cross(drawings):
    for seed in range(3):
        hidden, _ = two_groups(60, seed=seed)
        pictures.embedding(
            hidden, np.random.default_rng(seed).normal(size=60), numbered_screens(60), seed
        )
        lines = segments(drawings[-1], [line for *_, line in shots(drawings[-1])])
        assert len(lines) == 8
        assert not any(
            crossing(one, other) for index, one in enumerate(lines) for other in lines[:index]
        )


def test_of_many_states_some_are_drawn_with_their_own_screens(drawings):
    hidden, _ = two_groups(90)
    values = np.arange(90.0)
    text = pictures.embedding(hidden, values, list(numbered_screens(90)), 0, most=40, shots=5)
    (scatter,) = drawings[0].axes[0].collections
    assert '40 of 90' in text and len(scatter.get_offsets()) == 40
    shown = shots(drawings[0])
    assert len(shown) == 5
    for number, _, title, line in shown:
        assert title == f'V = {number:.2f}'
        (index,) = np.flatnonzero(scatter.get_array() == number)
        np.testing.assert_allclose(line.xy1, scatter.get_offsets()[index])


def test_3000_states_are_less_than_a_megabyte(monkeypatch):
    random = np.random.default_rng(0)
    monkeypatch.setattr(
        selection, 'flat', lambda hidden, seed: random.normal(size=(len(hidden), 2))
    )
    screens = np.repeat(
        np.repeat(random.integers(256, size=(9, 42, 32, 3), dtype=np.uint8), 5, axis=1), 5, axis=2
    )
    text = pictures.embedding(
        random.normal(size=(3000, 512)),
        random.normal(size=3000),
        [screens[index % 9] for index in range(3000)],
        0,
    )
    assert 'image/svg+xml' in text and 'all 3\N{NARROW NO-BREAK SPACE}000' in text
    assert 50_000 < len(text) < 1_000_000


def test_states_without_a_picture():
    screens = numbered_screens(9)
    for hidden, values, what in (
        (np.zeros((9, 4)), np.zeros(9), 'all states alike'),
        (np.full((9, 4), np.nan), np.zeros(9), 'not finite'),
        (np.eye(9), np.full(9, np.inf), 'not finite'),
        (np.eye(9)[:2], np.zeros(2), '2 states'),
    ):
        text = pictures.embedding(hidden, values, screens[: len(hidden)], 0)
        assert text.startswith('<p>') and what in text
    assert '<img' in pictures.embedding(np.eye(9), np.zeros(9), screens, 0)


def test_two_players_share_a_plane_in_their_colours(drawings):
    hidden, _ = two_groups(60)
    text = pictures.two_players(
        hidden[:40],
        hidden[40:],
        numbered_screens(100)[:40],
        numbered_screens(100)[40:60],
        0,
        'random player',
    )
    (drawing,) = drawings
    (scatter,) = drawing.axes[0].collections
    colors = [to_hex(color) for color in scatter.get_facecolors()]
    points = {
        tuple(point): color for point, color in zip(scatter.get_offsets(), colors, strict=True)
    }
    blue, orange = figures.PALETTE[0], figures.PALETTE[4]
    assert colors.count(blue) == 40 and colors.count(orange) == 20
    shown, places = shots(drawing), selection.flat(hidden, 0)
    assert sorted(number >= 40 for number, *_ in shown) == [False] * 4 + [True] * 4
    for number, color, _, line in shown:
        assert color == (orange if number >= 40 else blue)
        assert points[tuple(line.xy1)] == color
        np.testing.assert_allclose(line.xy1, places[number])
    labels = [entry.get_text() for entry in drawing.legends[0].get_texts()]
    assert labels == ['DQN', 'random player'] and '20 of the random player' in text


def test_two_players_thinned_out(drawings):
    hidden, _ = two_groups(60)
    text = pictures.two_players(
        hidden[:30],
        hidden[30:],
        numbered_screens(60)[:30],
        numbered_screens(60)[30:],
        0,
        'other',
        most=24,
        shots=3,
    )
    shown = shots(drawings[0])
    assert '24 of 60' in text and len(shown) == 3
    for number, color, *_ in shown:
        assert color == figures.PALETTE[4 if number >= 30 else 0]


def episode(steps=600, actions=3):
    """Values that rise by 1 to 3 within five steps before steps 100, 300 and 500."""
    value = np.zeros(steps)
    for end, rise in ((100, 1), (300, 3), (500, 2)):
        value += rise * np.clip((np.arange(steps) - end + 5) / 5, 0, 1)
    q_values = value[:, None] - np.arange(actions) / 100
    q_values[490, 1] = -4.0  # Here the actions differ most.
    rewards = np.zeros(steps)
    rewards[[101, 301]], rewards[501] = 1, -5
    return q_values, rewards


def test_values_along_an_episode_are_marked_where_they_rise(drawings):
    q_values, rewards = episode()
    text = pictures.values_along(
        q_values, rewards, numbered_screens(600), ('NOOP', 'UP', 'DOWN'), marks=3
    )
    (drawing,) = drawings
    along, *middle, around = drawing.axes
    np.testing.assert_array_equal(drawn.curve(along, 'value')[:, 1], q_values.max(1))
    numbers = {label.get_text(): label.xy[0] for label in along.texts}
    assert numbers == {'1': 100, '2': 300, '3': 500}
    assert [number_of(axes) for axes in middle] == [100, 300, 500]
    assert middle[1].get_title() == '2: V = 4.00'
    assert drawn.curve(along, 'reward')[:, 0].tolist() == [101, 301]
    assert drawn.curve(along, 'punishment')[:, 0].tolist() == [501]
    # Below, the moment near which the actions differ most.
    for action in range(3):
        steps, values = drawn.curve(around, f'action-{action}').T
        assert steps.tolist() == list(range(480, 520))
        np.testing.assert_array_equal(values, q_values[480:520, action])
    assert [label.get_text() for label in around.texts] == ['3']
    labels = {entry.get_text() for entry in drawing.legends[0].get_texts()}
    assert labels == {'NOOP', 'UP', 'DOWN', 'reward', 'punishment'}
    assert 'around moment 3' in text and '3 numbered moments' in text


def test_a_short_episode_of_18_actions(drawings):
    q_values = np.random.default_rng(0).normal(size=(7, 18))
    text = pictures.values_along(
        q_values, np.zeros(7), numbered_screens(7), [f'action {index}' for index in range(18)]
    )
    _, shot, around = drawings[0].axes
    assert number_of(shot) < 7 and '1 numbered moments' in text
    assert len({line.get_color() for line in around.lines if line.get_gid()}) == 18
    np.testing.assert_array_equal(
        drawn.curve(around, 'action-17'), np.column_stack([range(7), q_values[:, 17]])
    )


def test_values_that_cannot_be_drawn():
    for q_values in (np.zeros((1, 2)), np.full((9, 2), np.nan)):
        assert 'No picture' in pictures.values_along(
            q_values, np.zeros(len(q_values)), numbered_screens(len(q_values)), ('a', 'b')
        )


def test_arrays_that_do_not_fit():
    hidden, screens = np.eye(5), numbered_screens(5)
    with pytest.raises(ValueError, match='5 hidden, 5 values, 4 screens'):
        pictures.embedding(hidden, np.zeros(5), screens[:4], 0)
    with pytest.raises(ValueError, match='5 hidden_other, 4 screens_other'):
        pictures.two_players(hidden, hidden, screens, screens[:4], 0, 'other')
    with pytest.raises(ValueError, match=r'\[5, 5\] and hidden_other \[5, 3\] are not of one'):
        pictures.two_players(hidden, hidden[:, :3], screens, screens, 0, 'other')
    with pytest.raises(ValueError, match='5 q_values, 4 rewards'):
        pictures.values_along(hidden, np.zeros(4), screens, 'abcde')
    with pytest.raises(ValueError, match=r'\[5, 5\] are not those of the 2 actions a, b'):
        pictures.values_along(hidden, np.zeros(5), screens, ('a', 'b'))
    with pytest.raises(ValueError, match=r'a screen is uint8 .* not float64 \[21, 16, 3\]'):
        pictures.values_along(hidden, np.zeros(5), screens / 255, 'abcde')
