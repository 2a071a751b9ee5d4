"""The two streams of the feature extractor's data, and what is evaluated."""

import numpy as np
import pytest
import tensorflow as tf

from official.data import image_sources, labelling
from research.s3gan import feature_data

NUM, TEST, CLASSES = 60, 23, 3


class Numbered(image_sources.ImageSource):
    """Images of two pixels: the first its own number; the second says of which split it is."""

    name, class_names, image_size, channels, in_memory = 'numbers', tuple('abc'), 2, 1, True

    def __init__(self, data_dir=None):
        del data_dir
        rng = np.random.default_rng(0)
        self._labels = {
            'train': rng.permutation(np.arange(NUM) % CLASSES).astype(np.int32),
            'test': rng.integers(0, CLASSES, TEST, np.int32),
        }
        self.places = []

    def labels(self, split):
        return self._labels[split]

    def images(self, examples, split, used=None, seed=None):
        used = tf.constant(np.arange(len(self._labels[split])) if used is None else used)
        mark = tf.constant(7 if split == 'test' else 1, tf.int64)

        def image(place, number):
            if seed is not None:
                tf.py_function(lambda place: self.places.append(place.numpy()), [place], [])
            first = tf.gather(used, number)
            pixels = tf.stack([first, mark + 0 * first, first, first], 1)
            return tf.cast(tf.reshape(pixels, [-1, 2, 2, 1]), tf.uint8), number

        return examples.map(image)


def make(seed=0, **arguments):
    return feature_data.FeatureData(
        **{
            'seed': seed,
            'source': Numbered,
            'percent': 20,
            'unlabelled_batch': 6,
            'labelled_batch': 4,
            'evaluation_batch': 10,
            **arguments,
        }
    )


def take(data, steps, start=0, context=None):
    """[(numbers of the unlabelled, numbers of the labelled, labels)] of so many elements."""
    elements = data.train(start, context).take(steps)
    return [(a[:, 0, 0, 0].numpy(), b[:, 0, 0, 0].numpy(), y.numpy()) for (a, b), y in elements]


def test_one_stream_has_all_images_and_the_other_the_labelled_with_their_labels():
    data = make()
    batches = take(data, 30)  # Three passes over the one, ten over the other.
    unlabelled, labelled, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert all(a.shape == (6,) and b.shape == (4,) and y.dtype == np.int32 for a, b, y in batches)
    passes = unlabelled.reshape(3, NUM)
    for one in passes:
        np.testing.assert_array_equal(np.sort(one), np.arange(NUM))
    assert not np.array_equal(passes[0], passes[1])
    # A fifth of each class of 20.
    assert set(labelled) == set(data.labelled_indices) and len(data.labelled_indices) == 12
    np.testing.assert_array_equal(labels, data.source.labels('train')[labelled])
    for one in labelled.reshape(10, 12):
        np.testing.assert_array_equal(np.sort(one), data.labelled_indices)
    np.testing.assert_array_equal(
        np.bincount(data.source.labels('train')[data.labelled_indices]), [4, 4, 4]
    )


@pytest.mark.parametrize('seed', [0, 5])
def test_the_labels_are_those_that_the_gan_would_have(seed):
    data = make(seed=seed)
    partial = labelling.partial_labels(data.source.labels('train'), CLASSES, seed, 20)
    np.testing.assert_array_equal(np.flatnonzero(partial.labels >= 0), data.labelled_indices)
    assert not np.array_equal(make(seed=seed + 1).labelled_indices, data.labelled_indices)


def test_a_batch_follows_from_seed_and_step():
    whole, again = take(make(), 9), take(make(), 4, start=5)
    for one, other in zip(whole[5:], again, strict=True):
        for values, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(values, same)
    assert not np.array_equal(take(make(seed=1), 1)[0][0], whole[0][0])


def test_replicas_share_a_batch():
    context = tf.distribute.InputContext(
        num_input_pipelines=1, input_pipeline_id=0, num_replicas_in_sync=2
    )
    halves, whole = take(make(), 6, context=context), take(make(), 3)
    for step, batch in enumerate(whole):
        for part, values in enumerate(batch):
            parts = [halves[2 * step + replica][part] for replica in range(2)]
            np.testing.assert_array_equal(np.concatenate(parts), values)
    with pytest.raises(ValueError, match='batch size 5 cannot be divided evenly among 2 replicas'):
        make(labelled_batch=5).train(0, context)


def test_without_labels_there_are_images_alone():
    data = make(percent=None)
    images = next(iter(data.train()))
    assert images.shape == (6, 2, 2, 1) and images.dtype == tf.uint8
    assert not len(data.labelled_indices)
    np.testing.assert_array_equal(images[:, 0, 0, 0], take(make(), 1)[0][0])


def test_shapes_are_static_and_there_is_no_end():
    data = make().train()
    assert data.element_spec == (
        (tf.TensorSpec((6, 2, 2, 1), tf.uint8), tf.TensorSpec((4, 2, 2, 1), tf.uint8)),
        tf.TensorSpec((4,), tf.int32),
    )
    assert data.cardinality() == tf.data.INFINITE_CARDINALITY


def test_no_two_examples_are_cropped_alike():
    """Crops follow from the places that a source is given: no two of both streams are the same."""
    data = make()
    take(data, 5)
    places = np.concatenate(data.source.places)
    assert len(places) >= 50 and len(set(places.tolist())) == len(places)


def test_what_is_held_out_is_in_neither_stream():
    data = make(held_out_percent=10)
    assert len(data.validation_indices) == 6
    batches = take(data, 18)
    unlabelled, labelled, _ = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    np.testing.assert_array_equal(np.sort(unlabelled.reshape(2, 54)), [data.train_indices] * 2)
    assert not set(data.validation_indices) & (set(data.train_indices) | set(labelled))
    # What has labels is what has them without a validation set, but for what is held out.
    assert set(data.labelled_indices) == (
        set(make().labelled_indices) - set(data.validation_indices)
    )
    images, labels, weights = next(iter(data.evaluation('validation')))
    np.testing.assert_array_equal(images[:6, 0, 0, 0], data.validation_indices)
    np.testing.assert_array_equal(labels[:6], data.source.labels('train')[data.validation_indices])
    np.testing.assert_array_equal(weights, [1] * 6 + [0] * 4)
    drawn = [tuple(make(seed=seed, held_out_percent=10).validation_indices) for seed in range(3)]
    assert len(set(drawn)) == 3


@pytest.mark.parametrize('split, number, mark', [('train', NUM, 1), ('test', TEST, 7)])
def test_evaluation_has_every_image_once_in_order(split, number, mark):
    data = make(held_out_percent=10)
    elements = list(data.evaluation(split))
    assert len(elements) == data.evaluation(split).cardinality() == -(-number // 10)
    images, labels, weights = (np.concatenate(parts) for parts in zip(*elements, strict=True))
    counted = weights == 1
    assert images.shape == (len(elements) * 10, 2, 2, 1)
    np.testing.assert_array_equal(images[counted, 0, 0, 0], np.arange(number))
    assert set(images[:, 0, 1, 0]) == {mark}
    np.testing.assert_array_equal(labels[counted], data.source.labels(split))
    assert not weights[~counted].any()


def test_all_training_images_in_order():
    images = np.concatenate([images for images, _, _ in make(held_out_percent=10).in_order()])
    np.testing.assert_array_equal(images[:, 0, 0, 0], np.arange(NUM))


@pytest.mark.parametrize(
    'arguments, told',
    [
        ({'percent': 1}, 'percent = 1 of the 20 images of class 0 is none'),
        ({'percent': 101}, 'FeatureData.percent = 101'),
        ({'unlabelled_batch': 0}, 'FeatureData.unlabelled_batch = 0'),
        ({'labelled_batch': 1.5}, 'FeatureData.labelled_batch = 1.5'),
        ({'held_out_percent': -1}, 'FeatureData.held_out_percent = -1'),
        ({'held_out_percent': 0.1}, 'held_out_percent = 0.1 of the 60 training images is none'),
    ],
)
def test_data_that_cannot_be(arguments, told):
    with pytest.raises(ValueError, match=told):
        make(**arguments)


@pytest.mark.parametrize(
    'split, told',
    [('validation', 'FeatureData.held_out_percent is 0'), ('tset', "split = 'tset' is none of")],
)
def test_a_split_that_is_not_there(split, told):
    with pytest.raises(ValueError, match=told):
        make().evaluation(split)
