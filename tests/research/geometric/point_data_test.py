import numpy as np
import pytest
import tensorflow as tf

from research.geometric import graph as graph_lib
from research.geometric import point_data
from research.geometric.datasets import graph_dataset
from tests.research.geometric import point_shapes

PER_CLASS, POOL, DRAWN = 3, 40, 16
TRAIN = PER_CLASS * len(point_shapes.NAMES)


def make(seed=3, **settings):
    """Data of 12 training and 16 test clouds of 40 points, of which 16 are drawn."""
    return point_data.PointData(
        seed,
        None,
        source=lambda data_dir: point_shapes.dataset(PER_CLASS, POOL),
        **{'num_points': DRAWN, 'batch_size': 4, 'evaluation_batch': 6, **settings},
    )


def take(dataset, count):
    return [[part.numpy() for part in element] for element in dataset.take(count)]


@pytest.fixture
def raw(monkeypatch):
    """Clouds are left as they were drawn, so that their points can be found again."""
    monkeypatch.setattr(point_data, 'normalized', lambda points: points)


def find(data, cloud):
    """The object whose points a cloud has, and which of them."""
    for row, points in enumerate(data.points):
        same = (points[:, np.newaxis] == cloud).all(-1)
        if same.any(0).all():
            return row, same.argmax(0)
    raise AssertionError('no object has these points')


def test_an_epoch_has_every_training_object_once_with_points_of_its_own(raw):
    data = make()
    assert data.steps_per_epoch == 3
    epochs = [[], []]
    for step, (clouds, labels) in enumerate(take(data.train(), 6)):
        assert clouds.shape == (4, DRAWN, 3) and clouds.dtype == np.float32
        for cloud, label in zip(clouds, labels, strict=True):
            row, which = find(data, cloud)
            assert data.labels[row] == label and row in data.members('train')
            assert len(set(which.tolist())) == DRAWN
            epochs[step // 3].append((row, tuple(which)))
    for epoch in epochs:
        assert sorted(row for row, _ in epoch) == data.members('train').tolist()
    one, other = (dict(epoch) for epoch in epochs)
    assert all(set(one[row]) != set(other[row]) for row in one)  # Drawn anew.
    assert [row for row, _ in epochs[0]] != [row for row, _ in epochs[1]]
    # Every point has the same chance: of 24 clouds of 16 of 40 points each is in 9.6 on average.
    counts = np.bincount(
        np.concatenate([which for epoch in epochs for _, which in epoch]), minlength=POOL
    )
    assert counts.min() >= 2 and counts.max() <= 18


def test_a_step_is_a_function_of_seed_and_step():
    whole = take(make().train(), 8)
    for one, other in zip(take(make().train(start_step=5), 3), whole[5:], strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    other_seed = take(make(seed=4).train(), 1)[0]
    assert not np.array_equal(other_seed[0], whole[0][0])


def test_two_replicas_have_the_halves_of_the_batch():
    whole = take(make().train(start_step=1), 2)
    both = [take(make().train(1, tf.distribute.InputContext(2, pipe, 2)), 2) for pipe in range(2)]
    for step in range(2):
        for part in range(2):
            np.testing.assert_array_equal(
                np.concatenate([both[0][step][part], both[1][step][part]]), whole[step][part]
            )


def test_evaluation_is_in_order_with_the_first_points(raw):
    data = make()
    batches = take(data.evaluation('test'), -1)
    assert [len(batch) for batch in batches] == [4, 4, 4] and batches[0][0].shape[0] == 6
    clouds, labels, weights, distinct = (
        np.concatenate(part) for part in zip(*batches, strict=True)
    )
    test = data.members('test')
    assert weights.tolist() == [1] * 16 + [0] * 2
    np.testing.assert_array_equal(clouds[:16], data.points[test, :DRAWN])
    np.testing.assert_array_equal(labels[:16], data.labels[test])
    # The first cloud of each of the four classes is that of a training cloud, so `shapes` says.
    assert distinct.tolist() == [0] * 4 + [1] * 12 + [0] * 2
    assert len(take(data.evaluation('train'), 1)[0]) == 3
    assert int(data.evaluation('test').cardinality()) == 3


def test_calibration_has_every_training_object_once(raw):
    data = make()
    found = [find(data, cloud)[0] for batch in data.calibration() for cloud in batch.numpy()]
    assert sorted(found) == data.members('train').tolist()
    order = [find(data, cloud)[0] for batch, _ in data.train().take(3) for cloud in batch.numpy()]
    assert found != order


def test_normalized_by_hand():
    points = tf.constant([[[0.0, 0, 1], [4, 0, 1], [2, 3, 1]], [[5.0, 5, 5]] * 3])
    # Mean (2, 1, 1); the greatest coordinate is then 2.
    np.testing.assert_allclose(
        point_data.normalized(points), [[[-1, -0.5, 0], [1, -0.5, 0], [0, 1, 0]], [[0, 0, 0]] * 3]
    )
    clouds, _ = next(iter(make().train()))
    np.testing.assert_allclose(tf.reduce_mean(clouds, axis=1), np.zeros((4, 3)), atol=1e-6)
    np.testing.assert_allclose(tf.reduce_max(tf.abs(clouds), axis=[1, 2]), np.ones(4), rtol=1e-6)


def dataset(sizes=(5, 5), dimensions=3, labels=(0, 0), splits=('train',)):
    graphs = [
        graph_lib.Graph(
            np.zeros((2, 0), np.int32),
            pos=np.random.default_rng(0).normal(size=(size, dimensions)),
            y=label,
            class_names=('one',),
            name=f'cloud {place}',
        )
        for place, (size, label) in enumerate(zip(sizes, labels, strict=True))
    ]
    return graph_dataset.GraphDataset(graphs, ('one',), 'clouds', {name: [0] for name in splits})


@pytest.mark.parametrize(
    'settings, source, told',
    [
        ({}, dict(sizes=(5, 6)), 'cloud 1: it has 6 points, but clouds of num_points = 4'),
        ({'num_points': 9}, {}, 'cloud 0: it has 5 points, but clouds of num_points = 9'),
        ({}, dict(dimensions=2), 'cloud 0: the graph has no positions in space'),
        ({}, dict(labels=(None, None)), 'cloud 0: clouds are classified by one label each'),
        (
            {},
            dict(splits=('test',)),
            "clouds: there is no split 'train' to train on; there is test",
        ),
        ({'num_points': 0}, {}, 'num_points = 0'),
        ({'batch_size': 0}, {}, 'batch_size = 0'),
        ({'evaluation_batch': -1}, {}, 'evaluation_batch = -1'),
    ],
)
def test_data_that_cannot_be(settings, source, told):
    with pytest.raises(ValueError, match=told):
        point_data.PointData(
            0, None, source=lambda data_dir: dataset(**source), **{'num_points': 4, **settings}
        )


def test_a_split_that_is_not_there():
    with pytest.raises(ValueError, match="split 'validation' is none of train, test"):
        make().evaluation('validation')


@pytest.mark.parametrize('source', [point_data.modelnet10_voxels, point_data.modelnet10_meshes])
def test_sources_need_a_folder(source, tmp_path):
    with pytest.raises(FileNotFoundError, match='needs --data_dir'):
        source(None)
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        source(str(tmp_path))


def test_voxels_of_a_folder(tmp_path):
    grids = np.zeros((3, 4, 4, 4), np.int32)
    grids[0, 1, 1, 1] = grids[1, 2, 1, 1] = grids[2, 1:, 1, 1] = 1
    np.savez(
        tmp_path / 'modelnet10_vox30.npz',
        X_train=grids[:2],
        y_train=[0, 3],
        X_test=grids[1:],
        y_test=[3, 9],
    )
    data = point_data.PointData(
        0,
        str(tmp_path),
        source=lambda folder: point_data.modelnet10_voxels(folder, 50),
        num_points=20,
        batch_size=2,
    )
    assert data.points.shape == (4, 50, 3) and data.labels.tolist() == [0, 3, 3, 9]
    # Test grid 0 is training grid 1.
    distinct = next(iter(data.evaluation('test', batch_size=2)))[3]
    assert distinct.numpy().tolist() == [0, 1]
