"""MNIST superpixels in TFDS. Importing this takes seconds."""

from __future__ import annotations

import tensorflow_datasets as tfds

from official.data import mnist
from research.geometric.datasets import superpixels, tfds_graphs
from research.geometric.datasets.graph_dataset import GraphDataset


class MNISTSuperpixels(tfds_graphs.GraphBuilder, skip_registration=True):
    """MNIST as graphs of 75 superpixels, made with scikit-image's SLIC: `superpixels.from_images`.

    Not the file that Monti et al. 2017 published. Splits 'train' and 'test'.
    """

    VERSION = tfds.core.Version('1.0.0')
    HOMEPAGE = 'http://yann.lecun.com/exdb/mnist/'
    MANUAL_DOWNLOAD_INSTRUCTIONS = "A folder with MNIST's four original files."
    BUILDER_CONFIGS = [
        tfds_graphs.GraphConfig(
            name='slic75', class_names=mnist.CLASS_NAMES, num_features=1, num_dimensions=2
        )
    ]

    def read(self, raw_dir: str | None) -> GraphDataset:
        return superpixels.from_images(mnist.load(raw_dir))
