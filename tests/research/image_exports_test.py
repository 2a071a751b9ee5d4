"""Every kind of image file through every exported signature that takes bytes: as Pillow reads it.

Each paper's own function is exported over a model that hands the pixels back.
"""

import types

import numpy as np
import pytest
import tensorflow as tf

from official.core import export as export_lib
from official.vision import image_reader
from research.ladder import export as ladder_export
from research.match_rcnn import export as match_rcnn_export
from research.s3gan import feature_extractor
from tests.official.vision import image_formats

HEIGHT, WIDTH = image_formats.HEIGHT, image_formats.WIDTH
FILES = image_formats.files()


class Pixels(tf.keras.Model):
    """Answers with the images it is given, in the place of what each export passes on."""

    matching_network = None

    def __init__(self, example_shape):
        super().__init__()
        self.example_shape = example_shape
        self.built = True

    def call(self, images):
        return tf.reshape(tf.cast(images, tf.float32), [tf.shape(images)[0], -1])

    def detect(self, images, sizes):
        nothing = tf.zeros([tf.shape(sizes)[0], 1], tf.int32)
        return {'boxes': tf.zeros([tf.shape(sizes)[0], 1, 4]), 'classes': nothing, 'images': images}


class Features(Pixels):
    """The same as the feature extractor's outputs."""

    def call(self, images):
        return {'features': super().call(images)}


def exported(signatures, model, data, tmp_path):
    path = export_lib.save(model, signatures(model, data), str(tmp_path / 'model'))
    return tf.saved_model.load(path).signatures


@pytest.fixture(name='expected', scope='module')
def expected_fixture():
    """What the reader gives, which is compared with Pillow in its own test."""
    read = tf.function(image_reader.decode, input_signature=[tf.TensorSpec([], tf.string)])
    return [read(file.contents).numpy() for file in FILES]


def check(answers, expected):
    """Compares images with the files' in order; names the first that is another."""
    wrong = [
        file.name
        for file, answer, image in zip(FILES, answers, expected, strict=True)
        if answer is not None and not np.array_equal(answer, image)
    ]
    assert not wrong, wrong


def test_ladder(tmp_path, expected):
    arrays = types.SimpleNamespace(image_shape=(HEIGHT, WIDTH, 3), max_value=255)
    data = types.SimpleNamespace(
        class_names=['none'] * HEIGHT * WIDTH * 3,
        arrays=arrays,
        input_tensor=lambda images: tf.cast(images, tf.float32),
    )
    model = Pixels((HEIGHT, WIDTH, 3))
    served = exported(ladder_export.signatures, model, data, tmp_path)['image_bytes']
    answer = served(files=tf.constant([file.contents for file in FILES]))['probabilities'].numpy()
    # What lies on its side is resized to the data's shape.
    check(
        [
            pixels.reshape(HEIGHT, WIDTH, 3) if image.shape == (HEIGHT, WIDTH, 3) else None
            for pixels, image in zip(answer, expected, strict=True)
        ],
        expected,
    )


def test_match_rcnn(tmp_path, expected):
    side = max(HEIGHT, WIDTH)
    data = types.SimpleNamespace(
        class_names=['none'],
        geometry={'canvas': (side, side), 'min_size': min(HEIGHT, WIDTH), 'max_size': side},
    )
    served = exported(match_rcnn_export.signatures, Pixels(None), data, tmp_path)['detect']
    answer = served(files=tf.constant([file.contents for file in FILES]))
    check(
        [
            canvas[:height, :width]
            for canvas, (height, width) in zip(
                answer['images'].numpy(), answer['sizes'].numpy(), strict=True
            )
        ],
        expected,
    )


def test_s3gan(tmp_path, expected):
    side = min(HEIGHT, WIDTH)
    data = types.SimpleNamespace(class_names=['none'])
    model = Features((side, side, 3))
    served = exported(feature_extractor.signatures, model, data, tmp_path)['image_bytes']
    answer = served(files=tf.constant([file.contents for file in FILES]))['features'].numpy()

    def middle(image):
        top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        return image[top : top + side, left : left + side]

    check(answer.reshape(-1, side, side, 3), [middle(image) for image in expected])
