"""The Frechet Inception Distance (Heusel et al. 2017, Eq. 6), over features of any network."""

from __future__ import annotations

import numpy as np


class FeatureStatistics:
    """Mean and covariance of features that come batch by batch, in float64.

    The covariance is the unbiased one, as in the authors' code.
    """

    def __init__(self):
        self.count = 0
        self._shift = self._sum = self._products = None

    def add(self, features: np.ndarray) -> None:
        """Adds features [n, size].

        Raises:
          ValueError: if they are of another size than those before, or not finite.
        """
        features = np.asarray(features, np.float64)
        if not len(features):
            return
        if not np.isfinite(features).all():
            raise ValueError('features hold NaN or infinite values.')
        if self._shift is None:
            # About the first batch's mean the products are small, and their differences exact.
            self._shift = features.mean(0)
            self._sum = np.zeros_like(self._shift)
            self._products = np.zeros((len(self._shift), len(self._shift)))
        if features.shape[1:] != self._shift.shape:
            raise ValueError(
                f'features of size {features.shape[1:]} after others of size {self._shift.shape}.'
            )
        centred = features - self._shift
        self.count += len(features)
        self._sum += centred.sum(0)
        self._products += centred.T @ centred

    @property
    def mean(self) -> np.ndarray:
        """float64 [size].

        Raises:
          ValueError: if there are no features.
        """
        if not self.count:
            raise ValueError('0 features have no mean.')
        return self._shift + self._sum / self.count

    @property
    def covariance(self) -> np.ndarray:
        """float64 [size, size].

        Raises:
          ValueError: if there are fewer than two features.
        """
        if self.count < 2:
            raise ValueError(f'{self.count} features have no covariance.')
        outer = np.outer(self._sum, self._sum) / self.count
        return (self._products - outer) / (self.count - 1)


def frechet_distance(
    mean_1: np.ndarray, covariance_1: np.ndarray, mean_2: np.ndarray, covariance_2: np.ndarray
) -> float:
    """|m_1 - m_2|^2 + Tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2)), the squared distance of two Gaussians.

    The root's trace is that of the root of the symmetric C_1^(1/2) C_2 C_1^(1/2), which has the
    same eigenvalues; so singular covariances, of fewer images than features, need no correction.

    Args:
      mean_1: [size].
      covariance_1: [size, size].
      mean_2: [size].
      covariance_2: [size, size].
    """
    mean_1, covariance_1, mean_2, covariance_2 = (
        np.asarray(value, np.float64) for value in (mean_1, covariance_1, mean_2, covariance_2)
    )
    values, vectors = np.linalg.eigh(covariance_1)
    root = (vectors * _roots(values)) @ vectors.T
    product = _roots(np.linalg.eigvalsh(root @ covariance_2 @ root))
    trace = np.trace(covariance_1) + np.trace(covariance_2) - 2 * product.sum()
    # A distance, whatever the rounding.
    return max(0.0, float(np.sum((mean_1 - mean_2) ** 2) + trace))


def _roots(eigenvalues: np.ndarray) -> np.ndarray:
    """Square roots; what is 0 but for rounding, whose root would be many times larger, is 0."""
    least = eigenvalues.max(initial=0) * len(eigenvalues) * np.finfo(np.float64).eps
    return np.sqrt(np.where(eigenvalues > least, eigenvalues, 0))


def fid(real: FeatureStatistics, fake: FeatureStatistics) -> float:
    """The FID of two sets of features; 0 for equal statistics, lower is better."""
    return frechet_distance(real.mean, real.covariance, fake.mean, fake.covariance)
