import numpy as np
import pytest
import scipy.linalg

from official.evaluation import fid


def _random_covariance(rng, size, rank):
    factor = rng.normal(size=(size, rank))
    return factor @ factor.T / rank


def _statistics(features, sizes):
    statistics = fid.FeatureStatistics()
    for part in np.split(features, np.cumsum(sizes)[:-1]):
        statistics.add(part)
    return statistics


@pytest.mark.parametrize('size', [2, 7, 40])
def test_the_root_against_scipys(size):
    rng = np.random.default_rng(size)
    covariances = [_random_covariance(rng, size, size + 3) for _ in range(2)]
    means = rng.normal(size=(2, size))
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    expected = np.sum((means[0] - means[1]) ** 2) + np.trace(
        covariances[0] + covariances[1] - 2 * root.real
    )
    assert fid.frechet_distance(means[0], covariances[0], means[1], covariances[1]) == (
        pytest.approx(expected, rel=1e-9)
    )


def test_closed_forms():
    # Commuting covariances: the sum of the squared differences of the standard deviations.
    assert fid.frechet_distance([0, 0], np.diag([4.0, 9.0]), [3, 4], np.diag([1.0, 25.0])) == (
        pytest.approx(25 + (2 - 1) ** 2 + (3 - 5) ** 2)
    )
    # Two lines at right angles: the product of the covariances is 0, its root too.
    assert fid.frechet_distance([0, 0], np.diag([4.0, 0.0]), [0, 0], np.diag([0.0, 9.0])) == (
        pytest.approx(13)
    )
    # Rotated by 45 degrees, of rank one: C1 = diag(1, 0), C2 = [[1, 1], [1, 1]] / 2; the product's
    # only eigenvalue is 1/2.
    assert fid.frechet_distance([0, 0], np.diag([1.0, 0.0]), [0, 0], np.full((2, 2), 0.5)) == (
        pytest.approx(2 - 2 * np.sqrt(0.5))
    )


def test_fewer_images_than_features():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(5, 30))
    statistics = _statistics(one, [5])
    assert fid.fid(statistics, statistics) == pytest.approx(0, abs=1e-9)
    assert fid.fid(statistics, _statistics(one + 2, [2, 3])) == pytest.approx(4 * 30)


def test_statistics_of_batches_are_numpys():
    # Far from the origin, where sums of squares alone would have lost all digits.
    features = np.random.default_rng(0).normal(size=(103, 5)) + 1e6
    statistics = _statistics(features, [50, 50, 3])
    assert statistics.count == 103
    np.testing.assert_allclose(statistics.mean, features.mean(0), rtol=1e-12)
    np.testing.assert_allclose(
        statistics.covariance, np.cov(features, rowvar=False), rtol=1e-9, atol=1e-9
    )


def test_samples_of_known_gaussians():
    rng = np.random.default_rng(0)
    number, size = 20000, 4
    real = _statistics(rng.normal(size=(number, size)), [number])
    fake = _statistics(rng.normal(0.5, 2.0, size=(number, size)), [number])
    # 4 (0.5^2 + (2 - 1)^2) = 5, with an error of sampling of about 0.1.
    assert fid.fid(real, fake) == pytest.approx(5, abs=0.25)


def test_no_distance_is_negative():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        features = 100 * rng.normal(size=(50, 20))
        statistics = _statistics(features, [50])
        # A permutation has the same statistics but for rounding.
        shuffled = _statistics(rng.permutation(features), [50])
        for other in statistics, shuffled:
            assert 0 <= fid.fid(statistics, other) < 1e-6


def test_batches_without_features():
    statistics = fid.FeatureStatistics()
    for read in (lambda: statistics.mean, lambda: fid.fid(statistics, statistics)):
        with pytest.raises(ValueError, match='^0 features have no mean.$'):
            read()
    with pytest.raises(ValueError, match='^0 features have no covariance.$'):
        _ = statistics.covariance
    features = np.random.default_rng(0).normal(size=(7, 3))
    for part in features[:0], features[:4], features[:0], features[4:]:
        statistics.add(part)
    np.testing.assert_allclose(statistics.mean, features.mean(0))
    np.testing.assert_allclose(statistics.covariance, np.cov(features, rowvar=False))


def test_bad_features():
    statistics = _statistics(np.zeros((1, 3)), [1])
    with pytest.raises(ValueError, match='1 features have no covariance'):
        _ = statistics.covariance
    with pytest.raises(ValueError, match=r'features of size \(4,\) after others of size \(3,\)'):
        statistics.add(np.zeros((1, 4)))
    with pytest.raises(ValueError, match='NaN or infinite'):
        statistics.add(np.full((1, 3), np.nan))
