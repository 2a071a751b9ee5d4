"""Tests of research.geometric.datasets.superpixels."""

import struct

import numpy as np
import pytest

from official.data import digits, mnist
from research.geometric.datasets import superpixels, superpixels_builder, tfds_graphs
from tests.research.geometric.datasets import alike


def _quadrants():
    """28 x 28 pixels, four quarters of one grey each; the first has a square of another."""
    image = np.zeros((28, 28, 1))
    image[:14, 14:], image[14:, :14], image[14:, 14:] = 0.3, 0.6, 1
    return image


def test_quadrants_are_four_superpixels():
    graph = superpixels.superpixel_graph(_quadrants(), 4)
    order = np.argsort(graph.x[:, 0])
    np.testing.assert_allclose(graph.x[order, 0], [0, 0.3, 0.6, 1], atol=1e-6)
    # Right and down, in pixels: means of 0 to 13 and 14 to 27.
    np.testing.assert_allclose(
        graph.pos[order], [[6.5, 6.5], [20.5, 6.5], [6.5, 20.5], [20.5, 20.5]]
    )
    place = np.argsort(order)
    edges = {tuple(sorted(pair)) for pair in place[graph.edge_index].T.tolist()}
    assert edges == {(0, 1), (0, 2), (1, 3), (2, 3)} and graph.num_edges == 8


def test_colors():
    image = np.stack([_quadrants()[..., 0], 1 - _quadrants()[..., 0], np.full((28, 28), 0.5)], -1)
    graph = superpixels.superpixel_graph(image, 4)
    np.testing.assert_allclose(np.sort(graph.x[:, 1]), [0, 0.4, 0.7, 1], atol=1e-6)
    np.testing.assert_allclose(graph.x[:, 2], 0.5)


def test_seventy_five_of_any_image():
    random = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(28), np.arange(28))[..., np.newaxis] / 54
    for image in (np.zeros((28, 28, 1)), random.uniform(size=(28, 28, 1)), smooth):
        graph = superpixels.superpixel_graph(image)
        assert graph.num_nodes == 75
        source, target = graph.edge_index
        assert (source != target).all()
        pairs = set(zip(source.tolist(), target.tolist(), strict=True))
        assert len(pairs) == graph.num_edges
        assert pairs == {(target, source) for source, target in pairs}
        # Every superpixel is reached: the pixels are one connected surface.
        reached, before = {0}, set()
        while reached != before:
            before = set(reached)
            reached |= {target for source, target in pairs if source in reached}
        assert len(reached) == 75
        np.testing.assert_array_equal(
            superpixels.superpixel_graph(image).edge_index, graph.edge_index
        )


def test_digits():
    arrays = digits.load()
    dataset = superpixels.from_images(arrays, 16, limit=20)
    assert {name: ids.tolist() for name, ids in dataset.splits.items()} == {
        'train': list(range(20)),
        'test': list(range(20, 40)),
    }
    total = len(arrays.test_labels)
    assert [graph.y for graph in dataset.graphs[20:]] == [
        arrays.test_labels[place * total // 20] for place in range(20)
    ]
    for place in range(20):
        graph = dataset.graphs[place]
        pixels = arrays.train_images[place * len(arrays.train_images) // 20, ..., 0] / 16
        assert graph.num_nodes == 16
        assert graph.x.min() >= pixels.min() and graph.x.max() <= pixels.max()
        assert (graph.pos >= 0).all() and (graph.pos <= 7).all()


@pytest.mark.parametrize(
    'image, count, message',
    [
        (np.zeros((4, 4)), 4, 'the image has shape (4, 4), not [height, width, channels].'),
        (np.zeros((4, 0, 1)), 4, 'the image has shape (4, 0, 1), not [height, width, channels].'),
        (np.full((4, 4, 1), 255), 4, 'the image has the value 255.0, outside 0 to 1.'),
        (np.full((4, 4, 1), np.nan), 4, 'the image has the value nan, outside 0 to 1.'),
        (np.zeros((4, 4, 1)), 17, 'SLIC finds 16 superpixels, not the 17 asked for.'),
    ],
)
def test_bad_images(image, count, message):
    with pytest.raises(ValueError) as error:
        superpixels.superpixel_graph(image, count, name='a')
    assert str(error.value) == f'a: {message}'


def test_builder(tmp_path):
    random = np.random.default_rng(0)
    for part in ('train', 't10k'):
        pixels = random.integers(0, 256, (3, 28, 28), np.uint8)
        (tmp_path / f'{part}-images-idx3-ubyte').write_bytes(
            struct.pack('>4I', 0x803, 3, 28, 28) + pixels.tobytes()
        )
        (tmp_path / f'{part}-labels-idx1-ubyte').write_bytes(
            struct.pack('>2I', 0x801, 3) + bytes([0, 9, 4])
        )
    builder = tfds_graphs.prepare(
        superpixels_builder.MNISTSuperpixels(data_dir=tmp_path / 'tfds'), str(tmp_path)
    )
    dataset = tfds_graphs.from_tfds(builder)
    alike.assert_datasets_equal(dataset, superpixels.from_images(mnist.load(str(tmp_path))))
    assert [int(graph.y) for graph in dataset.graphs] == [0, 9, 4] * 2
