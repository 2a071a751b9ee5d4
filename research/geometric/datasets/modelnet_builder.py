"""ModelNet10 in TFDS, from meshes or from voxels. Importing this takes seconds."""

from __future__ import annotations

import os

import tensorflow_datasets as tfds

from research.geometric.datasets import modelnet, modelnet_voxels, tfds_graphs
from research.geometric.datasets.graph_dataset import GraphDataset


class ModelNet10(tfds_graphs.GraphBuilder, skip_registration=True):
    """Clouds of 1024 points on the surfaces of objects of ten classes, drawn with seed 0.

    'off': from Princeton's meshes, `modelnet.read_folder`; splits 'train', 'test'. 'voxels': from
    grids of 30 x 30 x 30 voxels, `modelnet_voxels.read`; splits 'train', 'test' and
    'test_distinct', the test graphs whose grid is that of no training graph.
    """

    VERSION = tfds.core.Version('1.0.0')
    HOMEPAGE = 'https://modelnet.cs.princeton.edu'
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "For 'off' the folder of the classes' folders; for 'voxels' a folder with "
        'modelnet10_vox30.npz.'
    )
    BUILDER_CONFIGS = [
        tfds_graphs.GraphConfig(name='off', class_names=modelnet.CLASS_NAMES, num_dimensions=3),
        tfds_graphs.GraphConfig(name='voxels', class_names=modelnet.CLASS_NAMES, num_dimensions=3),
    ]

    def read(self, raw_dir: str | None) -> GraphDataset:
        if self.builder_config.name == 'off':
            return modelnet.read_folder(raw_dir)
        return modelnet_voxels.read(os.path.join(raw_dir, 'modelnet10_vox30.npz'))
