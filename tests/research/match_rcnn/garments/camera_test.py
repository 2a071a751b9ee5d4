"""The camera there and back, and against literals."""

from __future__ import annotations

import numpy as np
import pytest

from research.match_rcnn.garments import camera as camera_lib

_WAVES = np.array([[0.03, -0.02, 0.8, 0.3, 0.1], [-0.02, 0.03, -0.4, 0.9, 0.6]])


def test_placing():
    matrix = camera_lib.placing((1, 2), (50, 60), 10, degrees=90)
    camera = camera_lib.Camera(matrix, supersampling=2)
    # Clockwise, y down: one to the right goes down; twice as many pixels on the canvas.
    np.testing.assert_allclose(
        camera.project([[1, 2], [2, 2], [1, 3]]), [[100, 120], [100, 140], [80, 120]], atol=1e-9
    )
    assert camera.scale() == pytest.approx(20)


def test_perspective_grows_to_one_side():
    camera = camera_lib.Camera(camera_lib.placing((0, 0), (0, 0), 10, perspective=(0.5, 0)))
    np.testing.assert_allclose(camera.project([[1, 0], [-1, 0]]), [[20, 0], [-20 / 3, 0]])


def test_turn_moves_the_middle_and_keeps_the_outside():
    camera = camera_lib.Camera(np.eye(3), turn=(0.7, 0.1))
    np.testing.assert_allclose(
        camera.project([[0, 0], [0.42, 1], [-0.8, 1], [0.21, 0]]),
        [[0.1, 0], [0.294, 1], [-0.56, 1], [0.147 + 0.075, 0]],
    )


def test_turn_that_folds_is_refused():
    with pytest.raises(ValueError, match=r'turn \(0.5, -0.2\) folds'):
        camera_lib.Camera(np.eye(3), turn=(0.5, -0.2))


@pytest.mark.parametrize('turn', [(1.0, 0.0), (0.8, 0.06), (0.65, -0.05)])
def test_grid_is_the_inverse_of_project(turn):
    matrix = camera_lib.placing((0, 0.9), (60, 80), 70, degrees=12, perspective=(0.05, -0.08))
    camera = camera_lib.Camera(matrix, turn, _WAVES, supersampling=2)
    grid = camera.grid(331, 246)
    assert grid.shape == (331, 246, 2) and grid.dtype == np.float32
    y, x = np.mgrid[0:331, 0:246] + 0.5
    again = camera.project(grid.reshape(-1, 2)).reshape(331, 246, 2)
    error = np.linalg.norm(again - np.stack([x, y], -1), axis=-1)
    # The grid is interpolated between every eighth pixel; it has a bend where the middle ends.
    smooth = np.abs(np.abs(grid[..., 0]) - 0.42) > 0.2
    assert error[smooth].max() < 0.3 and np.median(error) < 0.06
    assert error.max() < (0.3 if turn[1] == 0 else 3)


def test_bent_points_are_the_fixed_points():
    camera = camera_lib.Camera(np.eye(3), waves=_WAVES)
    points = np.random.default_rng(0).uniform(-1, 2, [50, 2])
    for (x, y), (bent_x, bent_y) in zip(points, camera.project(points), strict=True):
        for ax, ay, fx, fy, phase in _WAVES:
            wave = np.sin(2 * np.pi * (fx * bent_x + fy * bent_y + phase))
            x, y = x - ax * wave, y - ay * wave
        assert (bent_x, bent_y) == pytest.approx((x, y), abs=1e-4)
