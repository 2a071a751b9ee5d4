"""The losses of Lucic et al. 2019, one function an equation.

Expectations are means over the batch; labels are int [n] or probabilities [n, classes]. Where the
batch is shared by replicas, each has the same share of it, and the mean over the replicas of what
these functions give is the loss of the whole batch.
"""

from __future__ import annotations

import tensorflow as tf

from official.modeling import batch_statistics


def hinge_discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """L_D of Sec. 3.1: -E[min(0, -1 + D(x, y))] - E[min(0, -1 - D(G(z, y), y))].

    Args:
      real: D of real images, float32 [n].
      fake: D of generated images, float32 [m].
    """
    return _mean(tf.nn.relu(1.0 - real)) + _mean(tf.nn.relu(1.0 + fake))


def hinge_generator(fake: tf.Tensor) -> tf.Tensor:
    """L_G of Sec. 3.1: -E[D(G(z, y), y)].

    Args:
      fake: D of generated images, float32 [n].
    """
    return -_mean(fake)


def rotation(
    logits: tf.Tensor, rotations: tf.Tensor, counted: tf.Tensor | float = 1.0
) -> tf.Tensor:
    """Eq. (1): -1/|R| sum_r E[log p(c_R(F(x^r)) = r)], with every rotation equally often.

    Times beta it is Eq. (4), of rotated real images, and times alpha Eq. (5), of rotated generated
    ones.

    - Eq. (5) is printed with 1/|R| and without the sum over r; it is summed here as Eq. (4) is.

    Args:
      logits: c_R of the representations, float32 [n, 4].
      rotations: int [n], quarter turns.
      counted: 1.0 for rows that count, 0.0 for others, float32 [n]; by default all count.
    """
    return mean_where(
        tf.broadcast_to(counted, rotations.shape),
        tf.nn.sparse_softmax_cross_entropy_with_logits(rotations, logits),
    )


def semi_supervised(
    rotation_logits: tf.Tensor,
    rotations: tf.Tensor,
    label_logits: tf.Tensor,
    labels: tf.Tensor,
    gamma: float,
) -> tf.Tensor:
    """Eq. (2): Eq. (1) and gamma times the cross-entropy of the labelled images, all rotated.

    Args:
      rotation_logits: float32 [n, 4], of the rotated images without and with labels.
      rotations: int [n], quarter turns.
      label_logits: c_S2L of the representations, float32 [m, classes], of rotated labelled images.
      labels: int [m].
      gamma: weight of the second term.
    """
    return rotation(rotation_logits, rotations) + gamma * cross_entropy(label_logits, labels)


def co_training_discriminator(
    real: tf.Tensor,
    fake: tf.Tensor,
    label_logits: tf.Tensor,
    labels: tf.Tensor,
    lambda_: float,
    separate_means: bool = False,
) -> tf.Tensor:
    """Eq. (3): L_D of S2GAN-CO.

    - Its first and third term, the hinge of labelled and of unlabelled real images, are one mean
      over all real images, as in the authors' code. Every image, real or generated, weighs the
      same. As printed (`separate_means`) they are two means: with 10 % of the labels a labelled
      image weighs nine times an unlabelled one, and real images twice what generated ones do.
    - A batch without labelled images has no cross-entropy; of separate means, a batch without
      images of one kind has no such term.

    Args:
      real: D(x, y), float32 [n], y being the label or, where there is none, what c_CT predicts.
      fake: D of generated images, float32 [m].
      label_logits: c_CT of the representations of the real images, float32 [n, classes].
      labels: int [n], -1 for none.
      lambda_: Weight of the cross-entropy.
      separate_means: Labelled and unlabelled images as two means, as printed.
    """
    labelled = tf.cast(labels >= 0, tf.float32)
    hinge = tf.nn.relu(1.0 - real)
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), label_logits)
    if separate_means:
        of_real = mean_where(labelled, hinge) + mean_where(1.0 - labelled, hinge)
    else:
        of_real = _mean(hinge)
    return of_real + lambda_ * mean_where(labelled, entropy) + _mean(tf.nn.relu(1.0 + fake))


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """-E[log p(y)] of logits, float32 [n, classes], and labels, int [n]."""
    return _mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def _mean(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(values)


def mean_where(chosen: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """The mean of the chosen values of the global batch, 0 if there are none.

    The replicas' numbers of chosen values differ; each divides by their mean number, and the mean
    over the replicas is then the mean over all chosen values.
    """
    number = batch_statistics.global_mean(tf.reduce_sum(chosen))
    return tf.math.divide_no_nan(tf.reduce_sum(chosen * values), number)


def labelled_error_percent(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Share of the labelled images whose highest logit is another label's, 0 if there are none."""
    wrong = tf.cast(tf.argmax(logits, 1, labels.dtype) != labels, tf.float32)
    return 100 * mean_where(tf.cast(labels >= 0, tf.float32), wrong)
