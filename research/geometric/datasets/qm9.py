"""QM9: 130 831 small molecules with their quantum-chemical properties, through TFDS.

Ramakrishnan et al. 2014, "Quantum chemistry structures and properties of 134 kilo molecules"; the
task of Gilmer et al. 2017, "Neural Message Passing for Quantum Chemistry" (MPNN).
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence

import numpy as np

from official.data import sampling, tfds_images
from research.geometric.datasets.graph_dataset import GraphDataset
from research.geometric.graph import Graph
from research.geometric.transforms.distance import distance
from research.geometric.transforms.knn_graph import knn_graph
from research.geometric.transforms.radius_graph import radius_graph

ELEMENTS = {1: 'H', 6: 'C', 7: 'N', 8: 'O', 9: 'F'}  # by their charge
CONFIGS = ('dimenet', 'cormorant', 'original')
VERSION = '1.0.0'  # of the data set in TFDS
# Units: debye, bohr^3, three energies in hartree, bohr^2, five energies in hartree, cal/(mol K).
TARGETS = ('mu', 'alpha', 'homo', 'lumo', 'gap', 'r2', 'zpve', 'U0', 'U', 'H', 'G', 'Cv')


def load(
    data_dir: str | None = None,
    download: bool = False,
    config: str = 'dimenet',
    targets: Sequence[str] = TARGETS,
    cutoff: float | None = None,
    limit: int | None = None,
) -> GraphDataset:
    """The molecules of a prepared data set of TFDS, see `molecule`.

    - All characterized molecules, 130 831. TFDS has no bonds, so edges are of positions alone.

    Args:
      data_dir: folder of TFDS data; None: TFDS' own.
      download: download and prepare the data if they are not there. Without a network this takes
        minutes to fail.
      config: of TFDS, which differ in their splits: 'dimenet' has 110 000 molecules to train on,
        10 000 to validate and 10 831 to test on, 'cormorant' 100 000, 17 748 and 13 083,
        'original' only 'train'.
      targets: properties to predict.
      cutoff: see `molecule`.
      limit: number of molecules of each split, evenly spread over it, as QM9 is ordered by size;
        None: all.

    Returns:
      Graphs with `y` the targets, and the splits that TFDS has.

    Raises:
      FileNotFoundError: the data are not prepared; the message says how to prepare them.
      ImportError: they are to be prepared without pandas; TFDS needs it for that, and for that
        alone, so it is none of this project's dependencies.
      ValueError: a target or configuration that is not there, or a molecule as in `molecule`.
    """
    builder = _prepared(data_dir, download, config)
    unknown = [target for target in targets if target not in builder.info.features]
    if unknown:
        raise ValueError(f'QM9 has no target {unknown[0]!r}; known are {", ".join(TARGETS)}.')
    graphs, splits = [], {}
    for split in builder.info.splits:
        start = len(graphs)
        examples = builder.as_dataset(split=split)
        total = builder.info.splits[split].num_examples
        chosen = set(sampling.evenly_spread(total, limit).tolist())
        for place, example in enumerate(examples.as_numpy_iterator()):
            if place in chosen:
                graphs.append(molecule(example, targets, cutoff))
        splits[split] = np.arange(start, len(graphs))
    return GraphDataset(graphs, (), f'QM9 in {os.fspath(builder.data_path)}', splits)


def _prepared(data_dir: str | None, download: bool, config: str):
    """The `tfds.core.DatasetBuilder`; of prepared data without TFDS' own code for QM9."""
    os.environ.setdefault('NO_GCE_CHECK', 'true')  # As in official/data/tfds_images.py.
    import tensorflow_datasets as tfds  # Takes seconds.

    if config not in CONFIGS:
        raise ValueError(f'QM9 has no configuration {config!r}; known are {", ".join(CONFIGS)}.')
    folder = os.path.expanduser(data_dir or os.path.join('~', 'tensorflow_datasets'))
    path = os.path.join(folder, 'qm9', config, VERSION)
    if os.path.isdir(path):
        return tfds.builder_from_directory(path)
    if importlib.util.find_spec('pandas') is None:
        raise (ImportError if download else FileNotFoundError)(
            f'{path}: no prepared data set, and TFDS needs pandas to prepare it: ./garden python '
            '-m uv pip install pandas, then ./garden python -m official.data.prepare '
            f'qm9/{config} --data_dir={folder}.'
        )
    return tfds_images.prepared_builder(f'qm9/{config}', folder, download)


def molecule(
    example: Mapping, targets: Sequence[str] = TARGETS, cutoff: float | None = None
) -> Graph:
    """The graph of a molecule.

    Args:
      example: of TFDS: 'index', 'num_atoms', 'charges' and 'positions' of the atoms, padded, and
        the targets.
      targets: names of the properties.
      cutoff: edges are between atoms at most so far apart, in angstrom; None: between all.

    Returns:
      `x` the one-hot element [N, 5], of H, C, N, O, F; `pos` in angstrom [N, 3]; `edge_attr` the
      length of each edge in angstrom, [E, 1]; `y` [T].

    Raises:
      ValueError: an element that is none of the five, a number that is not finite, no atoms, or a
        target that is not there.
    """
    name = f'QM9, molecule {example["index"]}'
    num_atoms = int(example['num_atoms'])
    if not 0 < num_atoms <= len(example['charges']):
        raise ValueError(f'{name}: num_atoms is {num_atoms}, not 1 to {len(example["charges"])}.')
    charges = np.asarray(example['charges'])[:num_atoms]
    one_hot = charges[:, np.newaxis] == np.asarray(list(ELEMENTS))
    wrong = np.flatnonzero(~one_hot.any(axis=1))
    if wrong.size:
        raise ValueError(
            f'{name}: atom {wrong[0]} has charge {charges[wrong[0]]}, none of '
            f'{", ".join(map(str, ELEMENTS))}.'
        )
    missing = [target for target in targets if target not in example]
    if missing:
        raise ValueError(f'{name}: no target {missing[0]!r} there.')
    y = np.asarray([example[target] for target in targets], np.float32)
    wrong = np.flatnonzero(~np.isfinite(y))
    if wrong.size:
        raise ValueError(f'{name}: {targets[wrong[0]]} is {y[wrong[0]]}, not a finite number.')
    graph = Graph(
        np.zeros((2, 0), np.int32),
        one_hot.astype(np.float32),
        y=y,
        pos=np.asarray(example['positions'])[:num_atoms],
        name=name,
    )
    if cutoff is not None:
        graph = radius_graph(graph, cutoff)
    elif num_atoms > 1:
        graph = knn_graph(graph, num_atoms - 1)
    return distance(graph, normalized=False)
