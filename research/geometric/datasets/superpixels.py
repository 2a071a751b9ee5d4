"""Images as graphs of superpixels, as Monti et al. 2017 (MoNet) have MNIST."""

from __future__ import annotations

import numpy as np

from official.data import images, sampling
from research.geometric.datasets.graph_dataset import GraphDataset
from research.geometric.graph import Graph

SPLITS = ('train', 'test')


def from_images(
    arrays: images.ImageArrays,
    num_superpixels: int = 75,
    compactness: float = 0.1,
    limit: int | None = None,
) -> GraphDataset:
    """A graph an image; MNIST superpixels are `from_images(mnist.load(data_dir))`.

    Takes about 5 ms an image of 28 x 28 pixels. See `superpixel_graph`.

    Args:
      arrays: the images, of any number of channels.
      num_superpixels: N, nodes a graph; 75 in the paper.
      compactness: see `superpixel_graph`.
      limit: number of images of each split, evenly spread over it; None: all.

    Returns:
      Graphs with `y`, the class of the image, and the splits 'train' and 'test'.
    """
    graphs, splits = [], {}
    for split in SPLITS:
        pixels = getattr(arrays, f'{split}_images')
        labels = getattr(arrays, f'{split}_labels')
        chosen = sampling.evenly_spread(len(pixels), limit)
        splits[split] = np.arange(len(graphs), len(graphs) + len(chosen))
        for place in chosen:
            graph = superpixel_graph(
                images.unit_interval(pixels[place], arrays.max_value),
                num_superpixels,
                compactness,
                f'{arrays.name}, {split} image {place}',
            )
            graphs.append(graph.replace(y=labels[place], class_names=arrays.class_names))
    return GraphDataset(graphs, arrays.class_names, f'superpixels of {arrays.name}', splits)


def superpixel_graph(
    image: np.ndarray, num_superpixels: int = 75, compactness: float = 0.1, name: str = 'image'
) -> Graph:
    """The graph of one image's superpixels, with an edge, both ways, between those that touch.

    SLIC (Achanta et al. 2012, as in scikit-image) makes more superpixels than are asked for; then
    the smallest one joins, of those it touches, the one nearest in colour, until their number is
    right. Superpixels touch where two of their pixels share a side.

    - Not the file that Monti et al. published: its superpixels are of another implementation, and
      its graphs have more edges. Results on the two need not agree.

    Args:
      image: [height, width, channels] within 0 to 1.
      num_superpixels: N.
      compactness: of SLIC: how much nearness counts against likeness of colours.
      name: what an error message calls the graph.

    Returns:
      `x` the mean colour [N, channels]; `pos` the mean place in pixels, (right, down), [N, 2].

    Raises:
      ValueError: an image of another shape, values outside 0 to 1, or fewer superpixels than asked
        for.
    """
    from skimage import segmentation  # Takes a second.

    image = np.asarray(image, np.float64)
    if image.ndim != 3 or not image.size:
        raise ValueError(
            f'{name}: the image has shape {image.shape}, not [height, width, channels].'
        )
    wrong = image[~((image >= 0) & (image <= 1))]
    if wrong.size:
        raise ValueError(f'{name}: the image has the value {wrong[0]}, outside 0 to 1.')
    labels = segmentation.slic(
        image,
        n_segments=2 * num_superpixels,
        compactness=compactness,
        channel_axis=-1,
        convert2lab=False,
        start_label=0,
    )
    labels, touching = _merged(labels, image, num_superpixels, name)
    sizes = np.bincount(labels.ravel())[:, np.newaxis]
    total = lambda values: np.stack(
        [np.bincount(labels.ravel(), value.ravel()) for value in values], axis=1
    )
    rows, columns = np.indices(labels.shape)
    return Graph(
        np.argwhere(touching).T,
        total(np.moveaxis(image, -1, 0)) / sizes,
        pos=total([columns, rows]) / sizes,
        name=name,
    )


def _merged(labels: np.ndarray, image: np.ndarray, wanted: int, name: str):
    """Labels 0 to wanted - 1 of the pixels, and which of them touch, bool [wanted, wanted]."""
    labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    count = labels.max() + 1
    if wanted < 1 or count < wanted:
        raise ValueError(f'{name}: SLIC finds {count} superpixels, not the {wanted} asked for.')
    touching = np.zeros((count, count), bool)
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        touching[one, other] = touching[other, one] = True
    np.fill_diagonal(touching, False)
    sizes = np.bincount(labels.ravel()).astype(np.float64)
    sums = np.stack(
        [np.bincount(labels.ravel(), channel.ravel()) for channel in np.moveaxis(image, -1, 0)],
        axis=1,
    )
    became = np.arange(count)
    for _ in range(count - wanted):
        smallest = sizes.argmin()
        neighbors = np.flatnonzero(touching[smallest])
        colors = sums[neighbors] / sizes[neighbors, np.newaxis]
        gaps = np.square(colors - sums[smallest] / sizes[smallest]).sum(axis=1)
        nearest = neighbors[gaps.argmin()]
        touching[nearest] |= touching[smallest]
        touching[:, nearest] |= touching[:, smallest]
        touching[nearest, nearest] = False
        touching[smallest] = touching[:, smallest] = False
        sums[nearest] += sums[smallest]
        sizes[nearest] += sizes[smallest]
        sizes[smallest] = np.inf
        became[became == smallest] = nearest
    alive, became = np.unique(became, return_inverse=True)
    return became[labels], touching[np.ix_(alive, alive)]
