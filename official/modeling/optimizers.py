"""Keras optimizers whose update is one fused op per variable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from official.compat import keras_private
from official.core import checks


def _check_learning_rate(owner: str, learning_rate) -> None:
    """Raises ValueError for a number that is no rate; a schedule has checked its own."""
    schedule = tf.keras.optimizers.schedules.LearningRateSchedule
    if not isinstance(learning_rate, schedule) and not tf.is_tensor(learning_rate):
        checks.above_zero(owner, learning_rate=learning_rate)


class FusedAdam(tf.keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015, Algorithm 1), each variable updated by one op that reads it once.

    Keras' Adam reads and writes every weight and both of its moments several times an update,
    which for fully connected networks on a CPU costs as much as the matrix products.

    - As in Keras and TensorFlow, epsilon is the paper's "epsilon hat" (end of Sec. 2): it is
      added to sqrt(v) before the bias correction.
    - The default epsilon is the paper's 1e-8, not Keras' 1e-7.

    Args:
      learning_rate: a float or a `LearningRateSchedule`.
      beta_1: decay of the first moment.
      beta_2: decay of the second moment.
      epsilon: see above.
      clipnorm: clip each gradient to this norm.
      global_clipnorm: clip all gradients together to this norm.
      name: name of the optimizer.

    Raises:
      ValueError: if a number is out of its range: a rate, epsilon and a norm are above 0, a decay
        lies in [0, 1).
    """

    def __init__(
        self,
        learning_rate: float | Callable = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
        name: str = 'Adam',
    ):
        _check_learning_rate('FusedAdam', learning_rate)
        checks.share('FusedAdam', beta_1=beta_1, beta_2=beta_2)
        checks.above_zero(
            'FusedAdam',
            epsilon=epsilon,
            **{
                key: norm
                for key, norm in dict(clipnorm=clipnorm, global_clipnorm=global_clipnorm).items()
                if norm is not None
            },
        )
        super().__init__(
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            clipnorm=clipnorm,
            global_clipnorm=global_clipnorm,
            jit_compile=False,
            name=name,
        )

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        if isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable)
            return
        index = keras_private.slot_index(self, variable)
        dtype = variable.dtype
        step = tf.cast(self.iterations + 1, dtype)
        first, second = keras_private.adam_slots(self)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=first[index].handle,
            v=second[index].handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, dtype), step),
            lr=tf.cast(self.learning_rate, dtype),
            beta1=tf.cast(self.beta_1, dtype),
            beta2=tf.cast(self.beta_2, dtype),
            epsilon=tf.cast(self.epsilon, dtype),
            grad=gradient,
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {
            key: config[key]
            for key in (
                'learning_rate',
                'beta_1',
                'beta_2',
                'epsilon',
                'clipnorm',
                'global_clipnorm',
                'name',
            )
        }


class CentredRMSProp(tf.keras.optimizers.RMSprop):
    """Centred RMSProp (Graves 2013, Eqs. 38-41; Mnih et al. 2015), one op per variable.

    g <- rho g + (1 - rho) d;  n <- rho n + (1 - rho) d^2;
    step = learning_rate d / sqrt(n - g^2 + epsilon), with d the gradient. The default epsilon
    is the 0.01 of Mnih et al. (Extended Data Table 1), whose gradient is a sum over 32 examples,
    for a gradient that is their mean: 0.01 / 32^2.

    - Keras' update has the same formula; this op reads every variable once.
    - No momentum of the step: the paper's "gradient momentum" is the rho of g.

    Args:
      learning_rate: a float or a `LearningRateSchedule`.
      rho: decay of both averages.
      epsilon: see above.
      name: name of the optimizer.

    Raises:
      ValueError: if a number is out of its range: a rate and epsilon are above 0, rho lies in
        [0, 1).
    """

    def __init__(
        self,
        learning_rate: float | Callable = 0.00025,
        rho: float = 0.95,
        epsilon: float = 0.01 / 32**2,
        name: str = 'RMSprop',
    ):
        _check_learning_rate('CentredRMSProp', learning_rate)
        checks.share('CentredRMSProp', rho=rho)
        checks.above_zero('CentredRMSProp', epsilon=epsilon)
        super().__init__(
            learning_rate=learning_rate,
            rho=rho,
            epsilon=epsilon,
            centered=True,
            jit_compile=False,
            name=name,
        )

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        if isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable)
            return
        index = keras_private.slot_index(self, variable)
        dtype = variable.dtype
        gradients, squares = keras_private.rmsprop_slots(self)
        # The op wants a variable for a momentum and writes the step to it where there is none.
        tf.raw_ops.ResourceApplyCenteredRMSProp(
            var=variable.handle,
            mg=gradients[index].handle,
            ms=squares[index].handle,
            mom=self._steps[index].handle,
            lr=tf.cast(self.learning_rate, dtype),
            rho=tf.cast(self.rho, dtype),
            momentum=tf.zeros([], dtype),
            epsilon=tf.cast(self.epsilon, dtype),
            grad=gradient,
        )

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        built = keras_private.is_built(self)
        super().build(var_list)
        if not built:
            self._steps = [
                self.add_variable_from_reference(variable, 'step') for variable in var_list
            ]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {key: config[key] for key in ('learning_rate', 'rho', 'epsilon', 'name')}


def is_vector(variable: tf.Variable) -> bool:
    """Returns True if a variable has at most one axis: biases, gains and shifts of norms."""
    return variable.shape.rank <= 1


class MomentumSGD(tf.keras.optimizers.SGD):
    """Gradient descent with momentum and coupled weight decay, one op per variable for the step.

    g <- g + weight_decay w;  v <- momentum v + g;  w <- w - learning_rate v.

    - The learning rate is outside v, as in PyTorch and Detectron2. In Caffe, Detectron and Keras it
      is inside (v <- momentum v + learning_rate g; w <- w - v), which is the same until the rate
      changes: there the steps of the old rate go on in v, and Goyal et al. 2017 (Sec. 3, remark 2)
      correct for it.
    - Half the squared norm of the weights times `weight_decay` has this gradient. Keras'
      `weight_decay` is another: decoupled from g and v (Loshchilov & Hutter 2019).
    - Gradients are clipped before weights are added to them.

    Args:
      learning_rate: a float or a `LearningRateSchedule`.
      momentum: decay of v, in [0, 1].
      weight_decay: see above.
      exclude: called with each variable, says whether it is left out of the decay.
      global_clipnorm: clip all gradients together to this norm.
      name: name of the optimizer.

    Raises:
      ValueError: if a number is out of its range: a rate and a norm are above 0, `weight_decay`
        is at least 0.
    """

    def __init__(
        self,
        learning_rate: float | Callable = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        exclude: Callable[[tf.Variable], bool] = is_vector,
        global_clipnorm: float | None = None,
        name: str = 'MomentumSGD',
    ):
        _check_learning_rate('MomentumSGD', learning_rate)
        checks.within('MomentumSGD', 0, 1, momentum=momentum)
        if global_clipnorm is not None:
            checks.above_zero('MomentumSGD', global_clipnorm=global_clipnorm)
        checks.within('MomentumSGD', 0, float('inf'), weight_decay=weight_decay)
        super().__init__(
            learning_rate=learning_rate,
            momentum=momentum,
            global_clipnorm=global_clipnorm,
            jit_compile=False,
            name=name,
        )
        # Not Keras' own attribute, with which it would decay the weights as well.
        self._coupled_decay = weight_decay
        self._exclude = exclude

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        built = keras_private.is_built(self)
        super().build(var_list)
        if not built:
            # Asked here, where variables are whole and have their names, not in each replica.
            self._decays = [not self._exclude(variable) for variable in var_list]

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        index = keras_private.slot_index(self, variable)
        dtype = variable.dtype
        # A sparse gradient, too: all rows decay, and v goes on in all of them.
        gradient = tf.convert_to_tensor(gradient)
        if self._coupled_decay and self._decays[index]:
            gradient += tf.cast(self._coupled_decay, dtype) * variable
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=self.momentums[index].handle,
            lr=tf.cast(self.learning_rate, dtype),
            grad=gradient,
            momentum=tf.cast(self.momentum, dtype),
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {
            **{
                key: config[key] for key in ('learning_rate', 'momentum', 'global_clipnorm', 'name')
            },
            'weight_decay': self._coupled_decay,
            'exclude': self._exclude,
        }
