import numpy as np
import pytest

from official.evaluation import precision_recall


def _by_definition(points, manifold, k):
    """Eq. 2, pair by pair."""
    inside = 0
    for point in points:
        for center in manifold:
            radius = sorted(np.linalg.norm(manifold - center, axis=1))[k]
            if np.linalg.norm(point - center) <= radius:
                inside += 1
                break
    return inside / len(points)


@pytest.mark.parametrize('k', [1, 3])
def test_against_the_definition(k):
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(40, 3)), rng.normal(0.7, 0.6, size=(30, 3))
    assert precision_recall.precision_recall(real, fake, k) == (
        _by_definition(fake, real, k),
        _by_definition(real, fake, k),
    )
    assert _by_definition(real, fake, k) < 1


def test_a_collapsed_generator_is_precise_and_recalls_little():
    real = np.linspace(0, 10, 101)[:, np.newaxis]
    fake = np.linspace(5, 5.1, 50)[:, np.newaxis]
    # All between two neighbours; of the real ones only 5.0 and 5.1 are within.
    assert precision_recall.precision_recall(real, fake) == (1, pytest.approx(2 / 101))


def test_sets_apart_and_sets_alike():
    points = np.random.default_rng(1).normal(size=(20, 4))
    assert precision_recall.precision_recall(points, points + 100) == (0, 0)
    assert precision_recall.precision_recall(points, points) == (1, 1)


@pytest.mark.parametrize('scale', [1e-6, 10, 1e6])
def test_a_set_of_repeated_features_is_inside_itself(scale):
    """Each of 40 images five times: the radius is 0, and the distances are so but for rounding."""
    rng = np.random.default_rng(0)
    features = np.repeat(scale * rng.normal(size=(40, 2048)), 5, 0).astype(np.float32)
    assert precision_recall.precision_recall(features, features) == (1, 1)
    # The tolerance is no more than rounding: what is a millionth of a length away is outside.
    other = features * (1 + 1e-5)
    assert precision_recall.precision_recall(features, other) == (0, 0)


def test_too_few():
    with pytest.raises(ValueError, match='3 features have no 3-th nearest neighbour'):
        precision_recall.precision_recall(np.zeros((3, 2)), np.zeros((5, 2)))
