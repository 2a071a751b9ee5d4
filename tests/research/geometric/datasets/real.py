"""Real data sets of Table 5 that lie in the repository, as the files that readers take."""

import pathlib
import pickle
import zipfile

import numpy as np
import scipy.sparse

DATA = pathlib.Path(__file__).resolve().parents[1] / 'data'
# The rows of Table 5: graphs, nodes, edges, features, classes.
TABLE_5 = {
    'cora': (1, 2708, 5278, 1433, 7),
    'citeseer': (1, 3327, 4552, 3703, 6),
    'pubmed': (1, 19717, 44324, 500, 3),
    'MUTAG': (188, 17.93, 19.79, 7, 2),
    'PROTEINS': (1113, 39.06, 72.82, 3, 2),
    'IMDB-BINARY': (1000, 19.77, 96.53, 0, 2),
}
# Labels of the graphs as the text format of TUDataset has them; there 0 and 2, or 0 and 1.
TU_LABELS = {'MUTAG': {0: -1, 2: 1}, 'PROTEINS': {0: 1, 1: 2}, 'IMDB-BINARY': {0: 0, 1: 1}}


def row(statistics):
    """Statistics of `graph_dataset.statistics`, as Table 5 prints them."""
    return (
        statistics.graphs,
        round(statistics.nodes, 2),
        round(statistics.edges, 2),
        statistics.features,
        statistics.classes,
    )


def powerful_gnns(name):
    """Path of a set in the text format of powerful-gnns."""
    return DATA / f'{name.replace("-", "")}.zip'


def planetoid(folder):
    """Writes the raw files of the three citation graphs; those of PubMed have stand-in features."""
    for name in ('cora', 'citeseer'):
        with zipfile.ZipFile(DATA / f'{name}.zip') as archive:
            archive.extractall(folder)
    arrays = np.load(DATA / 'pubmed.npz')
    labels, test = arrays['labels'].astype(int), arrays['test'].astype(int)
    sources = np.cumsum(arrays['source_steps'].astype(int))
    graph = {node: [] for node in range(len(labels))}
    for source, target in zip(sources.tolist(), (sources + arrays['spans']).tolist(), strict=True):
        graph[source].append(target)
    one_hot = np.eye(3, dtype=np.int32)[labels]
    places = np.arange(len(labels))
    x = scipy.sparse.csr_matrix(
        (np.ones(len(labels), np.float32), (places, places % 500)), (len(labels), 500)
    )
    others = len(labels) - len(test)
    parts = {
        'x': x[:60],
        'y': one_hot[:60],
        'allx': x[:others],
        'ally': one_hot[:others],
        'tx': x[test],
        'ty': one_hot[test],
        'graph': graph,
    }
    for part, content in parts.items():
        (folder / f'ind.pubmed.{part}').write_bytes(pickle.dumps(content, 2))
    (folder / 'ind.pubmed.test.index').write_text(''.join(f'{node}\n' for node in test), 'utf8')
    return folder


def tu(folder, name, times=1):
    """Writes a set in the text format of TUDataset, each neighbour `times` times; the folder.

    IMDB-BINARY and COLLAB are given out with every neighbour there twice.
    """
    archive = zipfile.ZipFile(powerful_gnns(name))
    stem = name.replace('-', '')
    lines = archive.read(f'{stem}/{stem}.txt').decode().splitlines()
    edges, indicator, labels, tags, place = [], [], [], [], 1
    for graph in range(int(lines[0])):
        size, label = map(int, lines[place].split())
        first = len(indicator) + 1
        labels.append(TU_LABELS[name][label])
        for node in range(size):
            tag, degree, *rest = lines[place + 1 + node].split()
            neighbours = map(int, rest[: int(degree)])
            edges += [
                f'{first + node}, {first + other}' for other in neighbours for _ in range(times)
            ]
            indicator.append(graph + 1)
            tags.append(tag)
        place += 1 + size
    files = {'A': edges, 'graph_indicator': indicator, 'graph_labels': labels}
    if len(set(tags)) > 1:
        files['node_labels'] = tags
    if name == 'MUTAG':  # It has types of bonds, which the other format does not.
        files['edge_labels'] = [0] * len(edges)
    target = folder / name
    target.mkdir(parents=True)
    for kind, values in files.items():
        (target / f'{name}_{kind}.txt').write_text(
            ''.join(f'{value}\n' for value in values), 'utf8'
        )
    return target
