"""The denoising functions g(z_tilde, u) of Table 5.

Rasmus et al. 2015, Sec. 3.3 Eq. (1) and Appendix B Eqs. (3)-(7). Each maps the corrupted z_tilde
and the projection u from the layer above to the estimate z_hat, unit by unit, every unit (in
convolutional layers every channel, Sec. 3.4) with parameters of its own. The parameters' starting
values are those of the authors' published runs; g4's are this project's.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class Denoiser(tf.keras.layers.Layer):
    """A denoising function; subclasses name the parameters and write `call`.

    Args:
      units: number of units, or channels: the last axis of z_tilde and of u.
      name: name of the layer.

    Call:
      z_tilde: corrupted values, [..., units].
      u: batch-normalized projection of the layer above, of the same shape.
      Returns z_hat of the same shape.
    """

    ones: tuple[str, ...] = ()
    zeros: tuple[str, ...] = ()

    def __init__(self, units: int, name: str | None = None):
        super().__init__(name=name, dtype='float32')
        self.units = units
        for names, initializer in ((self.ones, 'ones'), (self.zeros, 'zeros')):
            for parameter in names:
                setattr(
                    self, parameter, self.add_weight(parameter, (units,), initializer=initializer)
                )
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {'units': self.units, 'name': self.name}


class MiniatureMLP(Denoiser):
    """g, the paper's proposed function, Eq. (1): a xi + b sigmoid(c xi), 9 parameters a unit.

    xi = [1, z_tilde, u, z_tilde u].
    """

    ones = ('a_z', 'b', 'c_z')
    zeros = ('a_1', 'a_u', 'a_zu', 'c_1', 'c_u', 'c_zu')

    def call(self, z_tilde: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
        # a_1 + a_z z + (a_u + a_zu z) u takes one product less than four terms.
        outside = self.a_1 + self.a_z * z_tilde + (self.a_u + self.a_zu * z_tilde) * u
        inside = self.c_1 + self.c_z * z_tilde + (self.c_u + self.c_zu * z_tilde) * u
        return outside + self.b * tf.sigmoid(inside)


class NoAugmentedTerm(Denoiser):
    """g2, Eq. (4): g without the product z_tilde u, 7 parameters a unit."""

    ones = ('a_z', 'b', 'c_z')
    zeros = ('a_1', 'a_u', 'c_1', 'c_u')

    def call(self, z_tilde: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
        outside = self.a_1 + self.a_z * z_tilde + self.a_u * u
        return outside + self.b * tf.sigmoid(self.c_1 + self.c_z * z_tilde + self.c_u * u)


class Linear(Denoiser):
    """g3, Eq. (5): g without the sigmoid, 4 parameters a unit."""

    ones = ('a_z',)
    zeros = ('a_1', 'a_u', 'a_zu')

    def call(self, z_tilde: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
        return self.a_1 + self.a_z * z_tilde + (self.a_u + self.a_zu * z_tilde) * u


class AdditiveMean(Denoiser):
    """g4, Eq. (6): u only shifts the mean, 9 parameters a unit.

    a1 u + a2 sigmoid(a3 u + a4) + a5 z_tilde + a6 sigmoid(a7 z_tilde + a8) + a9.
    """

    ones = ('a2', 'a3', 'a6', 'a7')
    zeros = ('a1', 'a4', 'a5', 'a8', 'a9')

    def call(self, z_tilde: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
        of_u = self.a1 * u + self.a2 * tf.sigmoid(self.a3 * u + self.a4)
        of_z = self.a5 * z_tilde + self.a6 * tf.sigmoid(self.a7 * z_tilde + self.a8)
        return of_u + of_z + self.a9


class Gaussian(Denoiser):
    """g5, Eq. (7): optimal where z given u is Gaussian, 10 parameters a unit.

    (z_tilde - mu(u)) v(u) + mu(u) with mu(u) = a1 sigmoid(a2 u + a3) + a4 u + a5 and
    v(u) = a6 sigmoid(a7 u + a8) + a9 u + a10.
    """

    ones = ('a2', 'a7')
    zeros = ('a1', 'a3', 'a4', 'a5', 'a6', 'a8', 'a9', 'a10')

    def call(self, z_tilde: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
        mean = self.a1 * tf.sigmoid(self.a2 * u + self.a3) + self.a4 * u + self.a5
        slope = self.a6 * tf.sigmoid(self.a7 * u + self.a8) + self.a9 * u + self.a10
        return (z_tilde - mean) * slope + mean
