"""How long graph networks take to train: Table 4 of Fey & Lenssen 2019, beside torch-geometric.

GCN (16 hidden units, dropout 0.5) and GAT (8 heads of 8, dropout 0.6) on Cora, CiteSeer and PubMed,
200 epochs; R-GCN (16 hidden units, 30 bases, no features) on MUTAG's RDF graph, 50 epochs; Adam
with rate 0.01, no weight decay. An epoch is one update on the whole graph. Claims: torch-geometric
given dense features takes 10 times as long for GCN and 5 times for GAT, in its fastest form twice
as long; and on Cora two cores take less than the paper's GPU, 0.7 s and 2.2 s.

    ./garden python benchmarks/geometric.py [--rounds=7] [--only=gcn_cora,gat_cora] [--json=FILE]
        [--epochs=N] [--data_dir=FOLDER]   of Planetoid's files; `none`: synthetic graphs
        [--torch_python=PATH]   a Python that has torch and torch-geometric; `none` leaves it out

Three contestants take turns, each in a process of its own, one process at a time: this project's
training loop; plain torch-geometric, as its users write it: given dense features, computing anew
each time what depends on the graph alone; and torch-geometric in its fastest form. That is looked
for first, with short trainings: sparse features and edges as torch's own sparse matrices or as
`EdgeIndex`, what depends on the graph alone computed once, Adam fused, all processors or one; forms
that need compiled extensions or a compiler are left out. This project, too, takes all processors
for an operation or one, whichever is faster: on a small graph handing work to another thread takes
longer than the work. All get the same file of arrays, rows of
features divided by their sums, and have equally many parameters. Each warms up for 10 epochs,
trains and ends.

MUTAG's RDF graph is not at hand: R-GCN's is synthetic, uniformly random with the same 23 644 nodes,
74 227 edges in each direction, 46 relations, 2 classes and 272 labelled nodes. So are the others
where there are no files; the output says so. Loss and accuracy of such graphs mean nothing.

The environment of torch-geometric is found or made as in benchmarks/ladder.py.

Result: research/geometric/README.md, "Speed".
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks import contest, geometric_data

PEER = contest.Peer(
    'torch-geometric', 'torch_geometric', ('torch==2.13.0', 'torch-geometric==2.8.1', 'numpy')
)
DATA_DIR = contest.ROOT.parent / 'shared' / 'data' / 'planetoid'
WARM_UP = 10
TRIED = 10  # epochs of each form of torch-geometric
BASES = 30
LABELS = {
    'arboretum': 'Arboretum',
    'plain': 'torch-geometric, plain',
    'fastest': 'torch-geometric, fastest form',
}


class Workload(NamedTuple):
    """A row of Table 4.

    Attributes:
      network: 'gcn', 'gat' or 'rgcn'.
      graph: one of `geometric_data.SIZES`.
      epochs: of the paper.
      paper_s: the paper's seconds of PyTorch Geometric on a GPU (GTX 1080 Ti).
      dgl_s: those of DGL 0.1.3.
    """

    network: str
    graph: str
    epochs: int
    paper_s: float
    dgl_s: float


WORKLOADS = {
    'gcn_cora': Workload('gcn', 'cora', 200, 0.7, 4.2),
    'gat_cora': Workload('gat', 'cora', 200, 2.2, 33.4),
    'gcn_citeseer': Workload('gcn', 'citeseer', 200, 0.8, 3.9),
    'gat_citeseer': Workload('gat', 'citeseer', 200, 2.4, 28.9),
    'gcn_pubmed': Workload('gcn', 'pubmed', 200, 2.0, 12.7),
    'gat_pubmed': Workload('gat', 'pubmed', 200, 12.3, 87.7),
    'rgcn_mutag': Workload('rgcn', 'mutag', 50, 2.4, 3.3),
}


# Arithmetic.


class Work(NamedTuple):
    """Floating-point operations, and bytes read and written."""

    flops: int
    bytes: int

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes)

    def __mul__(self, times: int) -> Work:
        return Work(times * self.flops, times * self.bytes)


def product(rows: int, inner: int, columns: int) -> Work:
    """A product of dense matrices; each is read or written once."""
    return Work(2 * rows * inner * columns, 4 * (rows * inner + inner * columns + rows * columns))


def sparse_product(entries: int, rows: int, columns: int, heads: int = 1) -> Work:
    """A sparse matrix times a dense one: a row is gathered an entry, the sums are written once.

    Args:
      entries: of the sparse matrix, each a value for each head and an index.
      rows: of the result.
      columns: of the result.
      heads: that share the columns.
    """
    return Work(2 * entries * columns, 4 * (entries * (columns + heads + 1) + rows * columns))


def adam(parameters: int) -> Work:
    """An update: weight, two moments and gradient are read, the first three written."""
    return Work(12 * parameters, 4 * 7 * parameters)


def parameters(network: str, sizes: geometric_data.Sizes) -> int:
    """How many numbers are trained."""
    classes, features = sizes.classes, sizes.features
    if network == 'gcn':
        return (features + 1) * 16 + (16 + 1) * classes
    if network == 'gat':
        return (features + 3) * 64 + (64 + 3) * classes
    return sum(
        (BASES + 1) * inputs * outputs + BASES * sizes.relations + outputs
        for inputs, outputs in ((sizes.nodes, 16), (16, classes))
    )


def epoch_work(network: str, sizes: geometric_data.Sizes) -> Work:
    """The products, gathers and sums of an epoch, forward and back, and Adam; the rest is left out.

    Of a product with W forward, going back is one for the gradient of W and one for that of the
    input, which features do not need.
    """
    n, classes, words = sizes.nodes, sizes.classes, sizes.words
    update = adam(parameters(network, sizes))
    if network == 'rgcn':

        def layer(inputs, outputs):
            # W_r of the bases; and what nodes send along the edges.
            return (
                product(sizes.relations, BASES, inputs * outputs) * 3
                + sparse_product(sizes.edges, n, outputs) * 2
            )

        return (
            update
            + layer(n, 16)
            + layer(16, classes)
            + product(n, 16, (sizes.relations + 1) * classes) * 3
        )
    edges = sizes.edges + n  # with self loops
    if network == 'gcn':
        first = sparse_product(words, n, 16) + sparse_product(words, sizes.features, 16)
        smoothing = sparse_product(edges, n, 16) + sparse_product(edges, n, classes)
        return update + first + product(n, 16, classes) * 3 + smoothing * 2
    first = sparse_product(words, n, 64) + sparse_product(words, sizes.features, 64)

    def attention(width, heads):
        # Scores of both ends, and forward and back, to sources and to weights, along the edges.
        return product(n, width, 2) * 3 + sparse_product(edges, n, width, heads) * 3

    return update + first + attention(64, 8) + product(n, 64, classes) * 3 + attention(classes, 1)


def floor_s(work: Work, peaks: Mapping[str, float]) -> float:
    """The least time for it: of its operations or its bytes, whichever takes longer.

    Args:
      work: what is to be done.
      peaks: 'gflop_per_s' and 'gbyte_per_s'.
    """
    return 1e-9 * max(work.flops / peaks['gflop_per_s'], work.bytes / peaks['gbyte_per_s'])


def summary(
    name: str,
    epochs: int,
    sizes: geometric_data.Sizes,
    runs: Mapping[str, Sequence[Mapping]],
    peaks: Mapping[str, float],
) -> dict:
    """All numbers of a workload.

    Args:
      name: of WORKLOADS.
      epochs: that were timed.
      sizes: of the graph.
      runs: what the processes of each contestant printed, by the names of LABELS.
      peaks: see `floor_s`.

    Raises:
      SystemExit: a contestant trained another number of parameters.
    """
    workload = WORKLOADS[name]
    expected = parameters(workload.network, sizes)
    work = epoch_work(workload.network, sizes) * epochs
    contestants = {}
    for contestant, printed in runs.items():
        for run in printed:
            if run['parameters'] != expected:
                raise SystemExit(
                    f'{name}: {LABELS[contestant]} trains {run["parameters"]} parameters, not '
                    f'{expected}.'
                )
        seconds = [run['seconds'] for run in printed]
        contestants[contestant] = {
            'label': LABELS[contestant],
            'round_s': seconds,
            'median_s': statistics.median(seconds),
            'lowest_s': min(seconds),
            'highest_s': max(seconds),
            'loss': statistics.median(run['loss'] for run in printed),
            'peak_mb': _median(run['memory']['peak_mb'] for run in printed),
            'libraries_mb': _median(run['memory']['libraries_mb'] for run in printed),
        }
    ours = contestants['arboretum']
    floor = floor_s(work, peaks)
    return {
        'epochs': epochs,
        'sizes': sizes._asdict(),
        'parameters': expected,
        'paper_s': workload.paper_s,
        'dgl_s': workload.dgl_s,
        'paper_epochs': workload.epochs,
        'contestants': contestants,
        'over_arboretum': {
            other: contest.ratio(contestants[other]['round_s'], ours['round_s'])
            for other in contestants
            if other != 'arboretum'
        },
        'gflop': work.flops / 1e9,
        'gbyte': work.bytes / 1e9,
        'floor_s': floor,
        'floor_fraction': floor / ours['median_s'],
    }


def _median(values) -> float | None:
    values = list(values)
    return None if None in values else statistics.median(values)


def table(numbers: Mapping) -> str:
    """The text of all workloads."""
    wide = max(map(len, LABELS.values()))
    blocks = []
    for name, row in numbers['workloads'].items():
        megabytes = lambda value: '     ?' if value is None else f'{value:6.0f}'
        lines = [
            f'{name}, {row["epochs"]} epochs, {row["parameters"]} parameters, {row["graph"]}',
            f'{"":{wide}}  median s  lowest  highest    MB  of it libraries    loss',
            *(
                f'{one["label"]:{wide}}  {one["median_s"]:8.3f}  {one["lowest_s"]:6.3f}  '
                f'{one["highest_s"]:7.3f}{megabytes(one["peak_mb"])}           '
                f'{megabytes(one["libraries_mb"])}  {one["loss"]:6.3f}'
                for one in row['contestants'].values()
            ),
        ]
        for other, ratios in row['over_arboretum'].items():
            lines.append(
                f'{LABELS[other]}, over Arboretum: {ratios["of_medians"]:.1f} of the medians; of '
                f'the rounds {ratios["median"]:.1f} ({ratios["lowest"]:.1f} to '
                f'{ratios["highest"]:.1f})'
            )
        lines.append(f'Arboretum: {row["threads"]} threads an operation')
        if row['tried']:
            form = ', '.join(f'{value} {key}' for key, value in row['tried']['fastest'].items())
            lines.append(f'Fastest form of {len(row["tried"]["seconds"])}: {form}')
        if row['epochs'] == row['paper_epochs']:
            lines.append(
                f'The paper, on a GPU: PyTorch Geometric {row["paper_s"]} s, DGL {row["dgl_s"]} s'
            )
        lines.append(
            f'Floor: {row["gflop"]:.2f} GFLOP and {row["gbyte"]:.2f} GB are {row["floor_s"]:.3f} s '
            f'at the peak, {row["floor_fraction"]:.0%} of the time'
        )
        losses = [one['loss'] for one in row['contestants'].values()]
        if max(losses) > 2 * min(losses) and max(losses) > 0.1:
            lines.append('The losses differ: these are not the same training.')
        blocks.append('\n'.join(lines))
    peaks = numbers['peaks']
    blocks.append(
        f'Peak: {peaks["gflop_per_s"]:.0f} GFLOP/s of a large float32 product and '
        f'{peaks["gbyte_per_s"]:.0f} GB/s of sums of arrays in the cache, a floor of products, '
        'gathers, sums and Adam alone'
    )
    return '\n\n'.join(blocks)


# Measurement.


def measure(
    names: Sequence[str],
    rounds: int,
    epochs: int | None,
    graphs: Mapping[str, tuple],
    torch_python: str | None,
) -> dict:
    """Runs all contestants of some workloads and returns `summary` of each with the machine.

    Args:
      names: of WORKLOADS.
      rounds: turns of each contestant.
      epochs: of each training; None for the paper's.
      graphs: by their names, what `geometric_data.arrays` gave.
      torch_python: a Python that has torch-geometric, or None for this project alone.
    """
    here = pathlib.Path(__file__).parent
    facts, libraries, runs, tried, chosen = contest.machine(), {}, {}, {}, {}
    threads = f'--threads={contest.processors()}'

    def worker(*command) -> dict:
        printed = contest.run_worker([str(word) for word in command])
        libraries.update(printed['libraries'])
        return printed

    # -I: nothing of this project, and none of its packages, in that environment.
    of_torch = (torch_python, '-I', here / 'geometric_torch.py')
    peaks = [worker(sys.executable, here / 'peak.py')]
    with tempfile.TemporaryDirectory(prefix='graphs_') as folder:
        for name in names:
            print(name, file=sys.stderr, flush=True)
            workload = WORKLOADS[name]
            path = pathlib.Path(folder, f'{workload.graph}.npz')
            np.savez(path, **graphs[workload.graph][0])
            task = (
                workload.network,
                path,
                f'--epochs={epochs or workload.epochs}',
                f'--warm_up={WARM_UP}',
            )
            ours = (sys.executable, here / 'geometric_tensorflow.py', *task)
            threads_tried = sorted({1, contest.processors()})
            trials = contest.take_turns(
                {number: _turn(worker, *ours, f'--threads={number}') for number in threads_tried}, 2
            )
            chosen[name] = min(
                threads_tried, key=lambda number: min(run['seconds'] for run in trials[number])
            )
            turns = {'arboretum': _turn(worker, *ours, f'--threads={chosen[name]}')}
            if torch_python:
                tried[name] = worker(*of_torch, *task[:2], '--find', f'--epochs={TRIED}', threads)
                form = [f'--{key}={value}' for key, value in tried[name]['fastest'].items()]
                turns['plain'] = _turn(worker, *of_torch, *task, threads)
                turns['fastest'] = _turn(worker, *of_torch, *task, *form)
            runs[name] = contest.take_turns(turns, rounds)
    peaks.append(worker(sys.executable, here / 'peak.py'))
    highest = {
        key: max(rate for peak in peaks for rate in peak[key])
        for key in ('gflop_per_s', 'gbyte_per_s')
    }
    highest['gbyte_per_s'] *= contest.processors()
    workloads = {}
    for name, printed in runs.items():
        arrays, origin = graphs[WORKLOADS[name].graph]
        workloads[name] = {
            'graph': origin,
            'tried': tried.get(name),
            'threads': chosen[name],
            **summary(
                name,
                epochs or WORKLOADS[name].epochs,
                geometric_data.sizes_of(arrays),
                printed,
                highest,
            ),
        }
    return {
        'machine': facts | libraries,
        'settings': {'rounds': rounds, 'warm_up': WARM_UP},
        'peaks': highest,
        'workloads': workloads,
    }


def _turn(worker: Callable[..., dict], *command) -> Callable[[], dict]:
    return lambda: worker(*command)


def _names(text: str) -> list[str]:
    names = text.split(',')
    for name in names:
        if name not in WORKLOADS:
            raise argparse.ArgumentTypeError(f'{name!r} is none of {", ".join(WORKLOADS)}')
    return names


def _folder(given: str | None) -> str | None:
    """--data_dir, or where the files lie beside a checkout, or None: no files."""
    if given is None:
        return str(DATA_DIR) if DATA_DIR.is_dir() else None
    return None if given == 'none' else given


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--only', type=_names, default=list(WORKLOADS), help='some of ' + ','.join(WORKLOADS)
    )
    parser.add_argument('--epochs', type=contest.positive, help="by default the paper's")
    parser.add_argument('--data_dir', help="folder of Planetoid's files; none: synthetic graphs")
    arguments = contest.parse(parser)
    folder = _folder(arguments.data_dir)
    try:
        graphs = {
            graph: geometric_data.arrays(graph, folder)
            for graph in {WORKLOADS[name].graph for name in arguments.only}
        }
    except (OSError, ValueError) as error:
        parser.error(f'--data_dir={folder}: {error}')
    with contest.peer_environment(arguments.torch_python, PEER) as torch_python:
        numbers = measure(arguments.only, arguments.rounds, arguments.epochs, graphs, torch_python)
    contest.report(numbers, table(numbers), arguments.json)


if __name__ == '__main__':
    main()
