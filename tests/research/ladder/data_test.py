"""Tests of research.ladder.data."""

import re

import numpy as np
import pytest
import tensorflow as tf

from official.data import images, whitening
from research.ladder import data


def _source(data_dir=None, train=60, test=23, classes=3):
    """Images [n, 2, 2, 1] that are their own index, labels that are the index modulo classes."""
    del data_dir
    pixels = np.zeros([train + test, 2, 2, 1], np.uint8)
    pixels[:, 0, 0, 0] = np.arange(train + test)
    pixels[:, 1, 1, 0] = 100
    labels = (np.arange(train + test) % classes).astype(np.int32)
    return images.ImageArrays(
        pixels[:train],
        labels[:train],
        pixels[train:],
        labels[train:],
        tuple('abc'[:classes]),
        max_value=200,
    )


def _data(seed=0, **options):
    return data.SemiSupervisedData(
        seed,
        None,
        **{
            'source': _source,
            'num_labels': 6,
            'labelled_batch': 4,
            'unlabelled_batch': 8,
            'evaluation_batch': 10,
            **options,
        },
    )


def _index(x):
    """Which images these are."""
    x = np.asarray(x).reshape(-1, 4)
    np.testing.assert_array_equal(x[:, 3], np.float32(0.5))
    return np.rint(x[:, 0] * 200).astype(int)


def _take(dataset, count):
    """x_labelled, x_unlabelled, y of so many steps, concatenated."""
    parts = [
        (labelled, unlabelled, y)
        for (labelled, unlabelled), y in dataset.take(count).as_numpy_iterator()
    ]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


# two_stream, the function for arrays.


def _two_stream(**options):
    x = np.linspace(0, 1, 30, dtype=np.float32).reshape(30, 1)
    return data.two_stream(
        x[:5], np.arange(5), x, **{'labelled_batch': 4, 'unlabelled_batch': 6, **options}
    )


def test_two_streams_of_different_lengths():
    dataset = _two_stream()
    assert dataset.element_spec == (
        (tf.TensorSpec([4, 1], tf.float32), tf.TensorSpec([6, 1], tf.float32)),
        tf.TensorSpec([4], tf.int32),
    )
    labelled, unlabelled, y = _take(dataset, 20)
    np.testing.assert_array_equal(np.rint(labelled[:, 0] * 29), y)  # a label stays with its image
    everything = np.linspace(0, 1, 30, dtype=np.float32).tolist()
    for epoch in unlabelled.reshape(4, 30):  # four passes of 30
        assert sorted(epoch.tolist()) == everything
    for epoch in y.reshape(16, 5):  # sixteen of 5
        assert sorted(epoch) == list(range(5))


def test_the_stream_of_all_labels_is_not_that_of_all_images():
    x = np.linspace(0, 1, 100, dtype=np.float32).reshape(100, 1)
    labelled, unlabelled, _ = _take(data.two_stream(x, np.arange(100), x), 2)
    assert sorted(labelled[:100, 0].tolist()) == sorted(unlabelled[:100, 0].tolist())
    assert np.sum(labelled == unlabelled) < 20


def test_started_later_it_is_the_tail():
    whole, tail = _take(_two_stream(), 20), _take(_two_stream(start_step=7), 13)
    for part, later, size in zip(whole, tail, (4, 6, 4), strict=True):
        np.testing.assert_array_equal(part[7 * size :], later)


def test_seeds_differ():
    first, second = _take(_two_stream(seed=1), 3), _take(_two_stream(seed=2), 3)
    assert first[1].tolist() != second[1].tolist()
    assert first[2].tolist() != second[2].tolist()


@pytest.mark.parametrize('pipelines', [1, 2])
def test_slices_of_the_replicas_make_up_the_batch(pipelines):
    whole = _take(_two_stream(), 10)
    parts = [
        _take(
            _two_stream(input_context=tf.distribute.InputContext(pipelines, i, 2)), 20 // pipelines
        )
        for i in range(pipelines)
    ]
    for position, size in enumerate((4, 6, 4)):
        slices = np.concatenate(
            [part[position].reshape(10, size // pipelines, -1) for part in parts], axis=1
        )
        np.testing.assert_array_equal(slices.reshape(whole[position].shape), whole[position])


def test_bytes_need_their_maximum_and_are_divided_exactly():
    x = np.arange(0, 250, 10, dtype=np.uint8).reshape(25, 1)
    with pytest.raises(ValueError, match=r'x_labelled is uint8: give float pixels in \[0, 1\], or'):
        data.two_stream(x, np.zeros(25, int), x)
    labelled, unlabelled, _ = _take(
        data.two_stream(x, np.zeros(25, int), x, 25, 25, max_value=255), 1
    )
    expected = (x.astype(np.float32) / np.float32(255)).tolist()
    assert sorted(labelled.tolist()) == sorted(unlabelled.tolist()) == expected


def test_images_keep_their_shape():
    x = np.zeros([3, 5, 4, 2])
    (labelled, unlabelled), _ = data.two_stream(x, [0, 1, 2], x).element_spec
    assert labelled == unlabelled == tf.TensorSpec([100, 5, 4, 2], tf.float32)


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'x_unlabelled': np.zeros([4, 3])}, 'x_labelled are (2,) each, x_unlabelled (3,).'),
        ({'y': [0, 1, 2]}, 'y has 3 labels for the 2 of x_labelled.'),
        ({'y': [0, -1]}, 'y holds -1 at position 1: classes count from 0.'),
        ({'y': np.eye(2)}, 'y is float64 of shape (2, 2), not whole numbers of shape [n].'),
        ({'y': [0.0, 1.0]}, 'y is float64 of shape (2,), not whole numbers of shape [n].'),
        ({'x_labelled': np.zeros([0, 2])}, 'x_labelled has shape (0, 2), not [n, ...]'),
        ({'x_unlabelled': np.zeros(4)}, 'x_unlabelled has shape (4,), not [n, ...]'),
        (
            {'x_unlabelled': np.full([4, 2], 16.0)},
            'x_unlabelled has values from 16 to 16: give pixels',
        ),
        ({'x_unlabelled': np.full([4, 2], np.nan)}, 'x_unlabelled holds NaN or infinite values.'),
        ({'x_labelled': np.full([2, 2], 'a')}, 'x_labelled is <U1, not numbers.'),
        ({'max_value': 0}, 'max_value 0 must be positive.'),
        (
            {'input_context': tf.distribute.InputContext(1, 0, 3)},
            'batch size 100 cannot be divided evenly among 3 replicas.',
        ),
    ],
)
def test_arrays_that_do_not_fit(changes, message):
    arguments = {'x_labelled': np.zeros([2, 2]), 'y': [0, 1], 'x_unlabelled': np.zeros([4, 2])}
    with pytest.raises(ValueError, match='^' + re.escape(message)):
        data.two_stream(**{**arguments, **changes})


def test_normalized_values_are_taken_as_they_are():
    x = np.array([[-2.0], [3.0]])
    assert sorted(_take(data.two_stream(x, [0, 0], x, 2, 2), 1)[1].ravel()) == [-2, 3]
    counts = np.array([[0.0], [3.0]])
    taken = _take(data.two_stream(counts, [0, 0], counts, 2, 2, max_value=1), 1)[1]
    assert sorted(taken.ravel()) == [0, 3]


# Labels.


def test_balanced_labels():
    labels = np.repeat(np.arange(10), 12)
    drawn = data.class_balanced_labels(labels, 100, 10, seed=3)
    assert np.bincount(labels[drawn]).tolist() == [10] * 10
    np.testing.assert_array_equal(drawn, data.class_balanced_labels(labels, 100, 10, seed=3))
    assert drawn.tolist() != data.class_balanced_labels(labels, 100, 10, seed=4).tolist()


def test_labels_that_cannot_be_balanced():
    labels = np.array([0] * 5 + [1] * 3)
    with pytest.raises(
        ValueError, match='^num_labels 8 asks for 4 examples of class 1, which has 3.$'
    ):
        data.class_balanced_labels(labels, 8, 2, seed=0)
    with pytest.raises(ValueError, match='^num_labels 5 is not a positive multiple of the 2 class'):
        data.class_balanced_labels(labels, 5, 2, seed=0)
    with pytest.raises(
        ValueError, match='^num_labels 63 asks for 21 examples of class 0, which has 20.$'
    ):
        _data(num_labels=63)
    with pytest.raises(ValueError, match='^validation_size 10 is not a positive multiple'):
        _data(validation_size=10)


# The data of an experiment.


def test_training_batches():
    experiment_data = _data()
    assert experiment_data.class_names == ('a', 'b', 'c')
    assert experiment_data.num_classes == 3
    assert experiment_data.input_shape == (4,)
    assert experiment_data.steps_per_epoch == 8  # 60 images, 8 at a time
    labelled, unlabelled, y = _take(experiment_data.train(), 15)
    assert set(_index(labelled)) == set(experiment_data.labelled_indices)
    np.testing.assert_array_equal(_index(labelled) % 3, y)
    assert np.bincount(experiment_data.labelled_indices % 3).tolist() == [2, 2, 2]
    for epoch in _index(unlabelled).reshape(2, 60):  # the labelled images are among them
        assert sorted(epoch) == list(range(60))
    tail = _take(experiment_data.train(start_step=9), 6)
    np.testing.assert_array_equal(unlabelled[72:], tail[1])
    half = experiment_data.train(input_context=tf.distribute.InputContext(2, 1, 2))
    np.testing.assert_array_equal(_take(half, 1)[1], unlabelled[4:8])


def test_images_or_vectors():
    (labelled, unlabelled), _ = _data(flatten=False).train().element_spec
    assert labelled.shape == (4, 2, 2, 1)
    assert unlabelled.shape == (8, 2, 2, 1)
    flat, image = _take(_data().train(), 1), _take(_data(flatten=False).train(), 1)
    np.testing.assert_array_equal(flat[1], image[1].reshape(8, 4))


def test_all_labels():
    experiment_data = _data(num_labels=None)
    labelled, unlabelled, y = _take(experiment_data.train(), 15)
    assert sorted(_index(labelled)) == list(range(60))
    np.testing.assert_array_equal(_index(labelled) % 3, y)
    assert _index(labelled)[:8].tolist() != _index(unlabelled)[:8].tolist()


def test_the_seed_decides_labels_and_validation():
    first, again, other = (
        _data(1, validation_size=15),
        _data(1, validation_size=15),
        _data(2, validation_size=15),
    )
    for field in ('labelled_indices', 'validation_indices'):
        assert getattr(first, field).tolist() == getattr(again, field).tolist()
        assert getattr(first, field).tolist() != getattr(other, field).tolist()


def test_validation_is_set_apart():
    experiment_data = _data(validation_size=15)
    apart = set(experiment_data.validation_indices.tolist())
    assert np.bincount(experiment_data.validation_indices % 3).tolist() == [5, 5, 5]
    assert apart | set(experiment_data.train_indices.tolist()) == set(range(60))
    assert experiment_data.steps_per_epoch == 6  # 45 images
    labelled, unlabelled, y = _take(experiment_data.train(), 45)
    assert not apart & set(_index(labelled))
    np.testing.assert_array_equal(_index(labelled) % 3, y)
    for epoch in _index(unlabelled).reshape(8, 45):
        assert set(epoch) == set(experiment_data.train_indices.tolist())
    x, y, weight = (
        np.concatenate(part)
        for part in zip(*experiment_data.evaluation('validation').as_numpy_iterator(), strict=True)
    )
    assert _index(x)[weight == 1].tolist() == experiment_data.validation_indices.tolist()
    np.testing.assert_array_equal(_index(x) % 3, y)
    train = experiment_data.evaluation('train').as_numpy_iterator()
    assert sum(weight.sum() for _, _, weight in train) == 45


@pytest.mark.parametrize('batch_size', [None, 23, 4])
def test_evaluation_takes_every_test_image_once(batch_size):
    dataset = _data().evaluation('test', batch_size)
    assert dataset.element_spec[0] == tf.TensorSpec([batch_size or 10, 4], tf.float32)
    x, y, weight = (np.concatenate(part) for part in zip(*dataset.as_numpy_iterator(), strict=True))
    assert _index(x)[weight == 1].tolist() == list(range(60, 83))
    np.testing.assert_array_equal(_index(x) % 3, y)
    assert len(weight) == {None: 30, 23: 23, 4: 24}[batch_size]
    assert weight.sum() == 23


def test_calibration():
    batches = list(_data().calibration().as_numpy_iterator())
    assert [batch.shape for batch in batches] == [(8, 4)] * 7  # 4 of 60 images are left out
    assert len(set(_index(np.concatenate(batches)))) == 56
    labelled = _data(calibrate_on_labelled=True)
    (batch,) = labelled.calibration().as_numpy_iterator()
    assert len(batch) == 4
    assert set(_index(batch)) <= set(labelled.labelled_indices)
    apart = _data(validation_size=15)
    seen = _index(np.concatenate(list(apart.calibration().as_numpy_iterator())))
    assert set(seen) <= set(apart.train_indices)


def test_calibration_with_fewer_images_than_a_batch():
    few = _data(calibrate_on_labelled=True, labelled_batch=100)
    (batch,) = few.calibration().as_numpy_iterator()
    assert sorted(_index(batch)) == few.labelled_indices.tolist()
    slices = list(few.calibration(tf.distribute.InputContext(1, 0, 4)).as_numpy_iterator())
    assert [len(part) for part in slices] == [2, 2, 2, 2]  # 6 images and 2 again
    assert set(_index(np.concatenate(slices))) == set(few.labelled_indices)


def test_whole_splits_are_what_the_pipelines_give():
    experiment_data = _data()
    x, y = experiment_data.inputs('test')
    assert x.dtype == np.float32
    assert x.shape == (23, 4)
    batches = list(experiment_data.evaluation('test', 23).as_numpy_iterator())
    np.testing.assert_array_equal(x, batches[0][0])
    np.testing.assert_array_equal(y, batches[0][1])
    np.testing.assert_array_equal(
        experiment_data.input_tensor(experiment_data.arrays.test_images), x
    )


def test_preprocessing_is_fitted_to_the_training_images_alone():
    experiment_data = _data(preprocess=whitening.fit, validation_size=15, flatten=False)
    arrays, rows = experiment_data.arrays, experiment_data.train_indices
    expected = whitening.fit(arrays.train_images[rows])
    test = expected(arrays.test_images)
    x, _ = experiment_data.inputs('test')
    np.testing.assert_allclose(x, test, atol=1e-5)
    (first, *_) = experiment_data.evaluation('test').as_numpy_iterator()
    np.testing.assert_allclose(first[0], test[:10], atol=1e-5)
    np.testing.assert_allclose(experiment_data.input_tensor(arrays.test_images), test, atol=1e-4)
    x, _ = experiment_data.inputs('train')
    np.testing.assert_allclose(x, expected(arrays.train_images[rows]), atol=1e-5)
    batch = _take(experiment_data.train(), 1)[1]
    distances = np.abs(batch[:, None] - x[None]).max(axis=(2, 3, 4))
    assert (distances.min(axis=1) < 1e-5).all()


def test_bad_input():
    with pytest.raises(ValueError, match="^split 'tset' is none of test, validation and train.$"):
        _data().evaluation('tset')
    with pytest.raises(ValueError, match='^split validation is empty: validation_size is 0.$'):
        _data().evaluation('validation')
    for name in ('labelled_batch', 'unlabelled_batch', 'evaluation_batch'):
        with pytest.raises(
            ValueError,
            match=f'^SemiSupervisedData.{name} = 0 must be a whole number of at least 1.$',
        ):
            _data(**{name: 0})
    with pytest.raises(ValueError, match='^batch size 8 cannot be divided evenly among 3 replicas'):
        _data(labelled_batch=6).train(input_context=tf.distribute.InputContext(1, 0, 3))
