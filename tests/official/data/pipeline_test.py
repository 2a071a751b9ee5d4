"""Tests of official.data.pipeline."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from official.data import pipeline
from tests import conformance


def _context(pipelines, pipeline_id, replicas):
    return tf.distribute.InputContext(pipelines, pipeline_id, replicas)


def _take(dataset, count):
    return np.stack(list(dataset.take(count).as_numpy_iterator()))


@pytest.mark.parametrize('num_examples, batch_size', [(60, 6), (7, 3), (4, 10), (1, 3), (64, 64)])
def test_every_epoch_is_a_permutation(num_examples, batch_size):
    epochs = 6
    steps = -(-epochs * num_examples // batch_size)
    batches = _take(pipeline.batch_indices(num_examples, batch_size, seed=3), steps)
    assert batches.shape == (steps, batch_size)
    assert batches.dtype == np.int64
    stream = batches.reshape(-1)[: epochs * num_examples].reshape(epochs, num_examples)
    for epoch in stream:
        assert sorted(epoch) == list(range(num_examples))
    if num_examples > 5:
        assert len(set(map(tuple, stream))) == epochs


@pytest.mark.parametrize('num_examples, batch_size', [(60, 6), (7, 3), (4, 10)])
@pytest.mark.parametrize('start', [1, 9, 10, 11, 25])
def test_started_later_it_is_the_tail(num_examples, batch_size, start):
    whole = _take(pipeline.batch_indices(num_examples, batch_size, seed=3), start + 15)
    tail = _take(pipeline.batch_indices(num_examples, batch_size, 3, start_step=start), 15)
    np.testing.assert_array_equal(whole[start:], tail)


def test_started_very_late():
    far = pipeline.batch_indices(7, 3, seed=3, start_step=10**12)
    first, second = _take(far, 2)
    again = _take(pipeline.batch_indices(7, 3, 3, start_step=10**12 + 1), 1)[0]
    np.testing.assert_array_equal(second, again)
    assert len(set(first)) >= 2


def test_seeds_and_streams_differ():
    first = _take(pipeline.batch_indices(1000, 50, seed=0), 1)
    np.testing.assert_array_equal(first, _take(pipeline.batch_indices(1000, 50, seed=0), 1))
    others = [
        pipeline.batch_indices(1000, 50, seed=1),
        pipeline.batch_indices(1000, 50, seed=0, stream=1),
        pipeline.batch_indices(1000, 50, seed=0, start_step=20),
    ]  # the next epoch
    for one, other in itertools.combinations([first, *(_take(o, 1) for o in others)], 2):
        assert np.sum(one == other) < 10


def test_the_shuffle_is_uniform():
    # Of 40 000 permutations of 4, each of the 24 comes 1667 times, standard deviation 40; the sum
    # of squares over expected is chi-squared with 23 degrees: above 52 once in 2000.
    batches = _take(pipeline.batch_indices(4, 4000, seed=5), 40).reshape(-1, 4)
    _, counts = np.unique(batches @ [64, 16, 4, 1], return_counts=True)
    expected = 40000 / 24
    assert len(counts) == 24
    assert np.sum((counts - expected) ** 2 / expected) < 52


def test_batches_mix_as_a_uniform_shuffle_does():
    # How many of a batch of 100 come from each tenth of 10 000 examples: the variance of the
    # hypergeometric distribution is 100 * 0.1 * 0.9 * 9900 / 9999.
    batches = _take(pipeline.batch_indices(10_000, 100, seed=2), 1000)
    tenths = np.stack([np.sum(batches // 1000 == tenth, axis=1) for tenth in range(10)])
    assert tenths.var() == pytest.approx(8.911, rel=0.05)


@pytest.mark.parametrize('num_examples', [40, 7])
def test_slices_of_the_replicas_make_up_the_batch(num_examples):
    batches = _take(pipeline.batch_indices(num_examples, 6, 3, start_step=2), 10)
    # One pipeline, two replicas: elements are step by step, in a step replica by replica.
    one_pipeline = pipeline.batch_indices(num_examples, 6, 3, 2, _context(1, 0, 2))
    assert one_pipeline.element_spec == tf.TensorSpec([3], tf.int64)
    np.testing.assert_array_equal(_take(one_pipeline, 20).reshape(10, 6), batches)
    # Two pipelines of one replica each.
    halves = [
        _take(pipeline.batch_indices(num_examples, 6, 3, 2, _context(2, i, 2)), 10)
        for i in range(2)
    ]
    np.testing.assert_array_equal(np.concatenate(halves, axis=1), batches)
    # Two pipelines that feed three replicas each.
    sixths = [
        _take(pipeline.batch_indices(num_examples, 6, 3, 2, _context(2, i, 6)), 30).reshape(10, 3)
        for i in range(2)
    ]
    np.testing.assert_array_equal(np.concatenate(sixths, axis=1), batches)


def test_batches_that_cannot_be_divided():
    with pytest.raises(ValueError, match='^batch size 100 cannot be divided evenly among 3 repli'):
        pipeline.batch_indices(1000, 100, 0, 0, _context(1, 0, 3))
    with pytest.raises(ValueError, match='^3 replicas cannot be divided evenly among 2 input pi'):
        pipeline.batch_indices(1000, 99, 0, 0, _context(2, 0, 3))
    with pytest.raises(ValueError, match='^batch size 0: '):
        pipeline.batch_indices(1000, 0, 0)
    with pytest.raises(ValueError, match='^num_examples 0: '):
        pipeline.batch_indices(0, 10, 0)
    with pytest.raises(ValueError, match='^start_step -1 is negative'):
        pipeline.batch_indices(10, 10, 0, start_step=-1)
    with pytest.raises(ValueError, match='^batch size 5 cannot'):
        pipeline.eval_batches(10, 5, _context(1, 0, 2))


@pytest.mark.parametrize('num_examples, steps', [(10, 3), (12, 3), (3, 1)])
def test_evaluation_takes_every_example_once(num_examples, steps):
    dataset = pipeline.eval_batches(num_examples, 4)
    assert dataset.element_spec == (tf.TensorSpec([4], tf.int64), tf.TensorSpec([4], tf.float32))
    indices, weights = (np.concatenate(x) for x in zip(*dataset.as_numpy_iterator(), strict=True))
    assert len(indices) == 4 * steps
    assert indices[weights == 1].tolist() == list(range(num_examples))
    assert set(weights.tolist()) <= {0.0, 1.0}
    assert indices.max() < num_examples


def test_evaluation_on_replicas():
    def collect(*context):
        return [
            (i.tolist(), w.tolist())
            for i, w in pipeline.eval_batches(9, 8, _context(*context)).as_numpy_iterator()
        ]

    expected = [
        ([0, 1, 2, 3], [1] * 4),
        ([4, 5, 6, 7], [1] * 4),
        ([8, 8, 8, 8], [1, 0, 0, 0]),
        ([8, 8, 8, 8], [0] * 4),
    ]
    assert collect(1, 0, 2) == expected
    assert collect(2, 0, 2) == expected[0::2]
    assert collect(2, 1, 2) == expected[1::2]


def test_scaled_is_the_exact_quotient():
    pixels = np.arange(256, dtype=np.uint8)
    scaled = pipeline.scaled(tf.constant(pixels), 255).numpy()
    np.testing.assert_array_equal(scaled, pixels.astype(np.float32) / np.float32(255))
    assert pipeline.scaled(tf.constant(pixels), 16).numpy()[:17].tolist() == [
        value / 16 for value in range(17)
    ]
    assert pipeline.scaled(tf.constant([-3.5, 2.0]), 1).numpy().tolist() == [-3.5, 2.0]


@pytest.mark.parametrize('one_thread', [True, False])
def test_finished_pipelines_are_deterministic_and_unsharded(one_thread):
    dataset = pipeline.finish(tf.data.Dataset.range(5), one_thread)
    options = dataset.options()
    assert options.deterministic
    assert (
        options.experimental_distribute.auto_shard_policy
        == tf.data.experimental.AutoShardPolicy.OFF
    )
    assert list(dataset.as_numpy_iterator()) == list(range(5))


def test_distributed_over_two_virtual_devices():
    strategy = conformance.two_devices()
    data = strategy.distribute_datasets_from_function(
        lambda context: pipeline.finish(pipeline.batch_indices(7, 4, 3, 5, context))
    )
    steps = 0
    for values, whole in zip(data, pipeline.batch_indices(7, 4, 3, 5).take(6), strict=False):
        first, second = strategy.experimental_local_results(values)
        np.testing.assert_array_equal(np.concatenate([first, second]), whole)
        steps += 1
    assert steps == 6 and strategy.num_replicas_in_sync == 2
