"""Tests of official.core.figures: what is drawn is where its values are."""

import io
import re
import xml.etree.ElementTree

import numpy as np
import pytest
from PIL import Image

from official.core import figures
from tests.official.core import html_page


def test_the_pixels_of_an_image_are_its_values(tmp_path):
    image = np.array([[0.0, 0.5], [1.0, 2.0]])
    (source,) = html_page.Parsed(figures.image_grid([[image]], ['r'], ['c'])).sources
    pixels = np.asarray(Image.open(io.BytesIO(html_page.decoded(source)[1])).convert('L'))
    np.testing.assert_allclose(pixels, [[0, 127.5], [255, 255]], atol=1)


def png(source):
    return np.asarray(Image.open(io.BytesIO(html_page.decoded(source)[1])))


def test_pixels_of_photographs_are_kept_to_the_last_bit():
    grey, colours = np.arange(256).reshape(16, 16), np.arange(768).reshape(16, 16, 3) % 256
    images = [grey[..., None] / 255, colours / 255]
    text = figures.image_grid([images], ['r'], ['a', 'b'], large=True)
    assert 'class="images large"' in text
    for source, expected in zip(html_page.Parsed(text).sources, (grey, colours), strict=True):
        np.testing.assert_array_equal(png(source), expected)


def test_a_cell_without_an_image_is_empty_and_keeps_its_place():
    image = np.full((2, 2), 0.2)
    text = figures.image_grid([[image, None, image / 2]], ['r'], ['a', '', ''])
    first, second, third = re.findall('<td>(.*?)</td>', text)
    assert not second and 'alt="a, r"' in first and 'alt="r"' in third
    assert [png(source)[0, 0] for source in html_page.Parsed(text).sources] == [51, 26]


def test_a_grid_of_images_is_one_image_with_white_between(tmp_path):
    images = np.random.RandomState(0).randint(0, 255, (2, 3, 4, 5, 1)) / 255
    grid = figures.grid_image(images, gap=1)
    assert grid.shape == (9, 17, 1)
    for row in range(2):
        for column in range(3):
            np.testing.assert_array_equal(
                grid[5 * row : 5 * row + 4, 6 * column : 6 * column + 5], images[row, column]
            )
    assert (grid[4] == 1).all() and (grid[:, [5, 11]] == 1).all()
    figures.write_png(str(tmp_path / 'grid.png'), grid)
    np.testing.assert_allclose(np.asarray(Image.open(tmp_path / 'grid.png')) / 255, grid[..., 0])


def test_curves_of_the_same_colour_have_different_dashes():
    keys = [f'value {key}' for key in 'abcdefghijklmnop']
    history = [{'step': step, **dict.fromkeys(keys, step)} for step in (1, 2)]
    text = figures.curves(history, keys, 'T')
    svg = xml.etree.ElementTree.fromstring(html_page.decoded(html_page.Parsed(text).sources[0])[1])
    styles = []
    for key in keys:
        (group,) = (g for g in svg.iter() if g.get('id') == f'curve-{key}')
        style = next(child.get('style') for child in group if child.get('d'))
        styles.append(
            (
                re.search('stroke: ([^;]*)', style).group(1),
                ''.join(re.findall('stroke-dasharray: ([^;]*)', style)),
            )
        )
    assert len(set(styles)) == 16 and len({color for color, _ in styles}) == 7


def drawn(text, gid):
    """The points [n, 2] of the curve `gid` in the one chart of `text`, y upwards."""
    (source,) = html_page.Parsed(text).sources
    kind, data = html_page.decoded(source)
    assert kind == 'svg+xml'
    (group,) = (g for g in xml.etree.ElementTree.fromstring(data).iter() if g.get('id') == gid)
    path = next(child.get('d') for child in group if child.get('d'))
    points = np.array(re.findall(r'[ML] (\S+) (\S+)', path), np.float64)
    return points * (1, -1)


def test_curves_are_drawn_where_their_values_are():
    history = [
        {'step': 0, 'cost': 100.0},
        {'step': 100, 'cost': 10.0, 'other': 3.0},
        {'step': 400, 'cost': 0.1},
    ]
    for log in (False, True):
        text = figures.curves(
            history,
            ['cost'],
            'Cost',
            log=log,
            compare={'baseline': [{'step': 0, 'cost': 10.0}, {'step': 400, 'cost': 100.0}]},
        )
        x, y = drawn(text, 'curve-cost').T
        assert (x[1] - x[0]) / (x[2] - x[0]) == pytest.approx(1 / 4, rel=1e-4)
        # From 100 to 0.1 are three decades, and the first of them is a third of the way.
        share = 1 / 3 if log else 90 / 99.9
        assert (y[1] - y[0]) / (y[2] - y[0]) == pytest.approx(share, rel=1e-4)
        other = drawn(text, 'curve-baseline-cost')
        np.testing.assert_allclose(other, [[x[0], y[1]], [x[2], y[0]]], rtol=1e-5)


def test_values_that_cannot_be_drawn_leave_a_gap():
    values = [4.0, None, float('nan'), 0.0, -1.0, float('inf'), 2.0, 1.0]
    history = [{'step': step, 'cost': value} for step, value in enumerate(values)]
    x, y = drawn(figures.curves(history, ['cost'], 'Cost', log=True), 'curve-cost').T
    assert len(x) == 3 and y[0] - y[1] == pytest.approx(y[1] - y[2], rel=1e-4)
    nothing = figures.curves([{'step': 1, 'cost': float('nan')}], ['cost'], 'Cost', log=True)
    assert html_page.Parsed(nothing).sources


def test_long_curves_are_thinned_but_keep_their_ends():
    history = [{'step': step, 'cost': (step % 7) + 1.0} for step in range(50_000)]
    text = figures.curves(history, ['cost'], 'Cost')
    assert len(text) < 100_000
    x, _ = drawn(text, 'curve-cost').T
    assert 400 < len(x) <= 800 and x[-1] == x.max()


def test_the_points_of_a_strip_plot_are_the_values():
    text = figures.strip_plot(
        {'measured': {'mean': 2.0, 'std': 1.0, 'median': 1.0, 'values': [1.0, 1.0, 4.0]}},
        'Error',
        '%',
    )
    (source,) = html_page.Parsed(text).sources
    (group,) = (
        g
        for g in xml.etree.ElementTree.fromstring(html_page.decoded(source)[1]).iter()
        if g.get('id') == 'values-0'
    )
    points = np.array(
        [[float(use.get(axis)) for axis in 'xy'] for use in group.iter() if use.tag.endswith('use')]
    )
    assert points[0, 0] == points[1, 0] < points[2, 0]
    assert len(np.unique(points[:, 1])) == 3, 'equal values hide each other'
