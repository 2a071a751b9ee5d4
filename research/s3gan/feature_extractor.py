"""The feature extractor F with its linear classifiers (Lucic et al. 2019, Sec. 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from official.compat import tensorflow_private
from official.core import checks, export
from official.core import model as core_model
from official.data import image_sources
from official.evaluation import classification
from official.modeling import random, spectral
from official.vision import image_reader, resnet_v2
from research.s3gan import layers, losses, rotations

# A matrix of more classes is no use to a reader.
_MATRIX_CLASSES = 100
_TOP = 5


class FeatureExtractor(core_model.Model):
    """F with c_R, trained by Eq. (1), or with c_R and c_S2L, by Eq. (2).

    `fit` takes, of Eq. (1), images, and of Eq. (2) ((unlabelled, labelled), labels); see
    `research.s3gan.feature_data`. Images are uint8, or float32 in [0, 1], [n, size, size,
    channels]; labels int [m]. Every image is turned all four ways, so a batch of 2048 is 8192
    inputs to F, which share the statistics of its batch norms.

    Where the paper is open or this differs:

    - "The latter expectation is replaced by the empirical average over the subset of labeled
      training examples, whereas the former is set to the empirical average over the entire training
      set": the unlabelled examples are drawn from all training images, those with labels among
      them, and c_R's loss is the mean over them alone; c_S2L's is the mean over the labelled ones.
    - Half the squared norm of the kernels, c_R's and c_S2L's among them, times `weight_decay` is
      added to the loss. The paper does not say; 1e-4 is that of Kolesnikov, Zhai & Beyer 2019.
    - The kernels of c_R and c_S2L begin as N(0, 0.01^2) (Goyal et al. 2017, Sec. 5.1).
    - F sees pixels in [-1, 1].

    Call: images to a dict of 'features' float32 [n, num_features], 'rotation_logits' float32 [n, 4]
    and, with classes, 'label_logits' float32 [n, num_classes].

    Args:
      seed: source of initial weights.
      network: called as network(seed=seed), gives F: `official.vision.resnet_v2.ResNetV2`.
      num_classes: of c_S2L; None: there is none, and Eq. (1) holds.
      gamma: weight of the second term of Eq. (2).
      weight_decay: see above.
      noise_shards: see `official.core.model.Model`; nothing here is random but initial weights.
      name: name of the model.

    Raises:
      ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        seed: int = 0,
        network: Callable = resnet_v2.ResNetV2,
        num_classes: int | None = None,
        gamma: float = 0.5,
        weight_decay: float = 1e-4,
        noise_shards: int | None = None,
        name: str | None = None,
    ):
        super().__init__(seed=seed, noise_shards=noise_shards, name=name)
        checks.within('FeatureExtractor', 0, float('inf'), gamma=gamma, weight_decay=weight_decay)
        if num_classes is not None:
            checks.at_least('FeatureExtractor', 2, num_classes=num_classes)
        self.network = network(seed=seed)
        self.num_classes = num_classes
        self.gamma = gamma
        self.weight_decay = weight_decay
        self.example_shape = (
            self.network.image_size,
            self.network.image_size,
            self.network.channels,
        )
        stream = random.fold_in(random.make_key(seed), 2**20)  # Beyond F's own.
        self.rotation_head = self._head(rotations.NUM_ROTATIONS, random.fold_in(stream, 0), 'c_R')
        self.label_head = num_classes and self._head(
            num_classes, random.fold_in(stream, 1), 'c_S2L'
        )
        # Gains and shifts of batch norms, and biases, are vectors.
        self._decayed = [v for v in self.trainable_variables if len(v.shape) > 1]
        means = ['loss', 'rotation_loss', 'rotation_error_percent']
        if num_classes is not None:
            means += ['label_loss', 'error_percent', f'top{_TOP}_error_percent']
        self._create_metrics(means)

    def _head(self, units, key, name):
        return spectral.SpectralDense(
            self.network.num_features,
            units,
            key,
            normalize=False,
            initializer=lambda key, shape: random.normal(key, shape, 0.01),
            name=name,
        )

    @tensorflow_private.untracked
    def _create_metrics(self, names):
        self._means = {name: tf.keras.metrics.Mean(name) for name in names}
        self._matrices = {
            'rotation_confusion_matrix': classification.ConfusionMatrix(
                rotations.NUM_ROTATIONS, 'rotation_confusion_matrix'
            )
        }
        if self.num_classes is not None and self.num_classes <= _MATRIX_CLASSES:
            self._matrices['confusion_matrix'] = classification.ConfusionMatrix(self.num_classes)
        self._set_metrics([*self._means.values(), *self._matrices.values()])
        self.built = True

    def use_data(self, data: Any) -> None:
        image_sources.check_fits(data.source, self.network.image_size, self.network.channels)
        have = len(data.class_names)
        if data.percent is None and self.num_classes is not None:
            raise ValueError(
                f'FeatureExtractor.num_classes = {self.num_classes} needs labels, and '
                'FeatureData.percent is None.'
            )
        if data.percent is not None and self.num_classes != have:
            raise ValueError(
                f'FeatureExtractor.num_classes = {self.num_classes}, and '
                f'{data.source.name} has {have} classes.'
            )

    # Training.

    def update(self, data: Any, key: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        del key
        with tf.GradientTape() as tape:
            terms = self.loss_terms(data)
        self.apply_gradients(tape, terms['loss'])
        return terms['loss'], self._log(terms)

    def loss_terms(self, data: Any) -> dict[str, tf.Tensor]:
        """The loss of a batch and its terms, by the statistics of the batch, which are kept.

        Args:
          data: see the class; a batch, or this replica's part of one.

        Returns:
          'loss', with the weight decay; 'rotation_loss', Eq. (1); 'rotation_error_percent'; of
          Eq. (2) also 'label_loss', without gamma, and 'error_percent'. Scalars.
        """
        semi_supervised = self.num_classes is not None
        (unlabelled, labelled), labels = data if semi_supervised else ((data, data[:0]), None)
        number = unlabelled.shape[0]
        upright = layers.unit_images(tf.concat([unlabelled, labelled], 0))
        features = self._features(tf.concat([upright, rotations.turned(upright)], 0), training=True)
        size = features.shape[1]
        features = tf.reshape(features, [rotations.NUM_ROTATIONS, -1, size])
        rotation_logits = self.rotation_head(tf.reshape(features[:, :number], [-1, size]))
        quarters = rotations.quarters(number)
        terms = {
            'rotation_loss': losses.rotation(rotation_logits, quarters),
            'rotation_error_percent': losses.labelled_error_percent(rotation_logits, quarters),
        }
        if not semi_supervised:
            loss = terms['rotation_loss']
        else:
            label_logits = self.label_head(tf.reshape(features[:, number:], [-1, size]))
            labels = tf.tile(labels, [rotations.NUM_ROTATIONS])
            loss = losses.semi_supervised(
                rotation_logits, quarters, label_logits, labels, self.gamma
            )
            terms['label_loss'] = losses.cross_entropy(label_logits, labels)
            terms['error_percent'] = losses.labelled_error_percent(label_logits, labels)
        if self.weight_decay:
            loss += self.weight_decay * tf.add_n([tf.nn.l2_loss(v) for v in self._decayed])
        return {'loss': loss, **terms}

    def _features(self, images, training=False):
        return self.network(2.0 * images - 1.0, training=training)

    def _log(self, terms):
        for name, value in terms.items():
            self._means[name].update_state(value)
        return {name: self._means[name].result() for name in terms}

    # Test.

    def call(self, images: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        features = self._features(layers.unit_images(images), training)
        outputs = {'features': features, 'rotation_logits': self.rotation_head(features)}
        if self.num_classes is not None:
            outputs['label_logits'] = self.label_head(features)
        return outputs

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Errors of c_S2L on upright images, and of c_R on the four rotations of each.

        Args:
          data: images, labels int [n] and weights float32 [n], 0 for padding.

        Returns:
          rotation_error_percent, rotation_confusion_matrix; with classes error_percent,
          top5_error_percent, and confusion_matrix if there are not many classes.
        """
        images, labels, weights = data
        images = layers.unit_images(images)
        upright = self(images)
        turned = self(rotations.turned(images))
        logits = tf.concat([upright['rotation_logits'], turned['rotation_logits']], 0)
        quarters = rotations.quarters(images.shape[0])
        predicted = tf.argmax(logits, 1, tf.int32)
        four = tf.tile(weights, [rotations.NUM_ROTATIONS])
        errors = {'rotation_error_percent': (predicted != quarters, four)}
        self._matrices['rotation_confusion_matrix'].update_state(quarters, predicted, four)
        if self.num_classes is not None:
            logits = upright['label_logits']
            predicted = tf.argmax(logits, 1, tf.int32)
            top = tf.math.top_k(logits, min(_TOP, self.num_classes)).indices
            among = tf.reduce_any(top == labels[:, tf.newaxis], 1)
            errors['error_percent'] = (predicted != labels, weights)
            errors[f'top{_TOP}_error_percent'] = (~among, weights)
            if 'confusion_matrix' in self._matrices:
                self._matrices['confusion_matrix'].update_state(labels, predicted, weights)
        for name, (wrong, counted) in errors.items():
            self._means[name].update_state(100 * tf.cast(wrong, tf.float32), counted)
        return {
            **{name: self._means[name].result() for name in errors},
            **{name: matrix.result() for name, matrix in self._matrices.items()},
        }

    def get_config(self) -> dict[str, Any]:
        return {
            'seed': self.seed,
            'network': tf.keras.saving.serialize_keras_object(self.network),
            'num_classes': self.num_classes,
            'gamma': self.gamma,
            'weight_decay': self.weight_decay,
            'noise_shards': self.noise_shards,
            'name': self.name,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> FeatureExtractor:
        """Builds the model of `get_config`, with its initial weights."""
        net = tf.keras.saving.deserialize_keras_object(config['network'], custom_objects)
        return cls(**{**config, 'network': lambda seed: net})


def signatures(model: FeatureExtractor, data: Any) -> export.Signatures:
    """What a client of an exported feature extractor can call.

    - predict (and serving_default): images float32 [n, size, size, channels] in [0, 1].
    - pixels: the same as uint8.
    - image_bytes: string [n], encoded files (JPEG, PNG, BMP, GIF; see
      `official.vision.image_reader`) of any size, of which the largest central square is resized.

    Each gives features float32 [n, num_features], rotation_logits float32 [n, 4] and, with classes,
    probabilities float32 [n, num_classes], labels int64 [n] and names string [n]. Images of another
    size are refused.

    Args:
      model: a trained `FeatureExtractor`.
      data: the `FeatureData` it was trained on.
    """
    size, _, channels = model.example_shape
    names = tf.constant(data.class_names)

    def predict(images):
        with layers.shapes_are({'images': (images, (tf.shape(images)[0], *model.example_shape))}):
            outputs = model(tf.identity(images))
        if 'label_logits' in outputs:
            logits = outputs.pop('label_logits')
            labels = tf.argmax(logits, 1)
            outputs.update(
                probabilities=tf.nn.softmax(logits), labels=labels, names=tf.gather(names, labels)
            )
        return outputs

    def image_bytes(files):
        def decode(file):
            image = image_reader.decode(file, channels)
            side = tf.reduce_min(tf.shape(image)[:2])
            square = tf.image.resize_with_crop_or_pad(image, side, side)
            resized = tf.image.resize(square, (size, size), antialias=True)
            return tf.saturate_cast(tf.round(resized), tf.uint8)

        return predict(
            tf.map_fn(
                decode, files, fn_output_signature=tf.TensorSpec(model.example_shape, tf.uint8)
            )
        )

    shape = [None, *model.example_shape]
    return {
        'predict': (predict, [tf.TensorSpec(shape, tf.float32, 'images')]),
        'pixels': (predict, [tf.TensorSpec(shape, tf.uint8, 'images')]),
        'image_bytes': (image_bytes, [tf.TensorSpec([None], tf.string, 'files')]),
    }
