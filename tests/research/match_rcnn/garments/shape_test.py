"""Curves against hand-computed points."""

from __future__ import annotations

import numpy as np

from research.match_rcnn.garments import shape


def test_curve_is_a_parabola_to_the_left_of_the_walker():
    points = shape.curve((0, 0), (4, 0), 0.25, count=4)
    # Height 0.25 * 4 = 1 in the middle; left of who walks to the right is up, y below 0.
    np.testing.assert_allclose(points, [[0, 0], [1, -0.75], [2, -1], [3, -0.75]])
    np.testing.assert_allclose(shape.curve((0, 0), (0, 2), -0.5, count=2), [[0, 0], [-1, 1]])


def test_path_ends_with_the_last_point():
    points = shape.path([(0, 0), (1, 0), (1, 2)], [0.0, 0.0])
    np.testing.assert_allclose(points, [[0, 0], [0.5, 0], [1, 0], [1, 1], [1, 2]])


def test_mirrored_turns_around():
    np.testing.assert_array_equal(shape.mirrored([[-3, 1], [-2, 5]]), [[2, 5], [3, 1]])


def test_tube_has_its_outer_edge_away_from_the_middle():
    down = np.array([[0.0, 0], [0, 1], [0, 2]])
    outer, inner = shape.tube(down, [1, 2, 1], shape.LEFT)
    np.testing.assert_allclose(outer, [[-1, 0], [-2, 1], [-1, 2]])
    np.testing.assert_allclose(inner, [[1, 0], [2, 1], [1, 2]])
    outer, _ = shape.tube(down, 1, shape.RIGHT)
    np.testing.assert_allclose(outer, [[1, 0], [1, 1], [1, 2]])
    # A raised left arm: the outer edge is above.
    outer, _ = shape.tube(np.array([[0.0, 0], [-1, 0]]), 1, shape.LEFT)
    np.testing.assert_allclose(outer, [[0, -1], [-1, -1]])


def test_eased():
    knots = [(0, 0), (2, 4), (3, 0)]
    # t^2 (3 - 2 t) at 0.25 is 0.15625.
    np.testing.assert_allclose(
        shape.eased(np.array([-1, 0, 0.5, 1, 2, 2.5, 9]), knots), [0, 0, 0.625, 2, 4, 2, 0]
    )
