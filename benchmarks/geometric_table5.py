"""Table 5 of Fey & Lenssen 2019 beside what the readers find in folders of the data.

    ./garden python benchmarks/geometric_table5.py --planetoid=FOLDER --tu=FOLDER \
        --powerful_gnns=FOLDER --modelnet=FILE

Each flag may be missing: the `ind.*` files of Planetoid; NAME.zip, or NAME unpacked, of TUDataset
or powerful-gnns; modelnet10_vox30.npz. The small sets are in the tests as well.
"""

from __future__ import annotations

import os

from absl import app, flags

from research.geometric.datasets import graph_dataset, modelnet_voxels, planetoid, powerful_gnns, tu

_PLANETOID = flags.DEFINE_string('planetoid', None, 'Folder of the ind.* files.')
_TU = flags.DEFINE_string('tu', None, 'Folder of TUDataset zips.')
_POWERFUL_GNNS = flags.DEFINE_string('powerful_gnns', None, 'Folder of powerful-gnns zips.')
_MODELNET = flags.DEFINE_string('modelnet', None, 'The file modelnet10_vox30.npz.')

# Graphs, nodes, edges, features and classes as the paper prints them. REDDIT-BINARY has 2 000
# graphs, where the paper prints "2,00"; the edges of ModelNet10 depend on how they are drawn.
PAPER = {
    'cora': (1, 2708, 5278, 1433, 7),
    'citeseer': (1, 3327, 4552, 3703, 6),
    'pubmed': (1, 19717, 44324, 500, 3),
    'MUTAG': (188, 17.93, 19.79, 7, 2),
    'PROTEINS': (1113, 39.06, 72.82, 3, 2),
    'COLLAB': (5000, 74.49, 2457.22, 0, 3),
    'IMDB-BINARY': (1000, 19.77, 96.53, 0, 2),
    'REDDIT-BINARY': (2000, 429.63, 497.754, 0, 2),
    'ModelNet10': (4899, 1024, None, 0, 10),
}


def main(_):
    """Prints a row of each set that is there, and the paper's below."""
    print(
        f'{"":28}{"graphs":>8}{"nodes":>10}{"edges":>10}{"features":>10}{"classes":>9}'
        f'{"repeated":>10}'
    )
    for name in ('cora', 'citeseer', 'pubmed'):
        if _PLANETOID.value:
            _show(
                name,
                'Planetoid',
                graph_dataset.GraphDataset.of(planetoid.load(_PLANETOID.value, name)),
            )
    for folder, reader, words in (
        (_TU.value, tu, 'TUDataset'),
        (_POWERFUL_GNNS.value, powerful_gnns, 'powerful-gnns'),
    ):
        for name in ('MUTAG', 'PROTEINS', 'COLLAB', 'IMDB-BINARY', 'REDDIT-BINARY'):
            for file in (f'{name}.zip', f'{name.replace("-", "")}.zip', name):
                path = os.path.join(folder or '', file)
                if folder and os.path.exists(path):
                    _show(name, words, reader.read(path))
                    break
    if _MODELNET.value:
        _show('ModelNet10', 'voxels', modelnet_voxels.read(_MODELNET.value))


def _show(name, words, dataset):
    found = graph_dataset.statistics(dataset)
    print(
        f'{f"{name}, {words}":28}{found.graphs:8}{found.nodes:10.2f}{found.edges:10.2f}'
        f'{found.features:10}{found.classes:9}{found.repeated:10.2f}'
    )
    graphs, nodes, edges, features, classes = PAPER[name]
    edges = '~19440' if edges is None else f'{edges:.2f}'
    print(f'{"  paper":28}{graphs:8}{nodes:10.2f}{edges:>10}{features:10}{classes:9}', flush=True)


if __name__ == '__main__':
    app.run(main)
