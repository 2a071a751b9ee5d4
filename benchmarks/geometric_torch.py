"""One training of GCN, GAT or R-GCN on a whole graph with PyTorch Geometric, in several forms.

The peer in benchmarks/geometric.py. It is not of the locked stack: run it in an environment of its
own with torch, torch-geometric and numpy. Nothing else of the project is needed but a file of
arrays (benchmarks/geometric_data.py says which).

    python benchmarks/geometric_torch.py gcn cora.npz --epochs=200
    python benchmarks/geometric_torch.py gcn cora.npz --epochs=200 --features=csr --edges=csr
    python benchmarks/geometric_torch.py gcn cora.npz --epochs=20 --find

Without --features and --edges it is what the library's users write: dense features, the edges as
they come, nothing computed beforehand, Adam's default form. With them all that the graph alone
determines is computed once (GCN's coefficients, GAT's self loops) and Adam is fused. Only the
library's own operators are used; where a product of sparse features is one of `EdgeIndex`, it takes
the place of the first operator's linear layer. The forms:

  features  dense; csr, csc, coo: torch's sparse matrices; edge_index: EdgeIndex, with both orders
            of its entries kept
  edges     plain, as they come; sorted, by target (R-GCN: by relation); edge_index: EdgeIndex;
            csr, csc: torch's sparse matrices (GATConv refuses csc); fast, of R-GCN: FastRGCNConv

Prints one JSON object: 'seconds' of the epochs after some to warm up, 'loss' of the last one,
'parameters', 'memory' and 'libraries'; with --find the 'seconds' of each form that works, why
others 'failed', and the options of the 'fastest'.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings

import numpy as np
import torch
import torch_geometric
from torch import nn
from torch.nn import functional
from torch_geometric import nn as operators
from torch_geometric.nn.conv import gcn_conv

LEARNING_RATE = 0.01
FEATURES = ('dense', 'csr', 'csc', 'coo', 'edge_index')
EDGES = {
    'gcn': ('plain', 'sorted', 'edge_index', 'csr', 'csc'),
    'gat': ('plain', 'sorted', 'edge_index', 'csr'),
    'rgcn': ('plain', 'sorted', 'fast'),
}
KEYS = ('edge_index', 'labels', 'nodes', 'classes')
FEATURE_KEYS = ('x_data', 'x_indices', 'x_indptr', 'x_columns')
RELATION_KEYS = ('edge_type', 'relations')


def read(path: str, network: str) -> dict[str, np.ndarray]:
    """The arrays that a network needs.

    Raises:
      SystemExit: no such file, or it lacks one of them; in one sentence.
    """
    try:
        with np.load(path) as file:
            found = dict(file)
    except (OSError, ValueError) as error:
        raise SystemExit(f'{path}: no file of arrays: {error}') from error
    for key in (*KEYS, *(RELATION_KEYS if network == 'rgcn' else FEATURE_KEYS)):
        if key not in found:
            raise SystemExit(f'{path}: has no {key}, which {network} needs.')
    return found


# Features.


class Features(nn.Module):
    """The features in one of FEATURES, a share of their entries dropped in training."""

    def __init__(self, found: dict, form: str, rate: float):
        super().__init__()
        self.form, self.rate = form, rate
        self.size = (len(found['labels']), int(found['x_columns']))
        rows = np.repeat(np.arange(self.size[0]), np.diff(found['x_indptr']))
        places = torch.from_numpy(np.stack([rows, found['x_indices']]).astype(np.int64))
        matrix = torch.sparse_coo_tensor(
            places, torch.from_numpy(found['x_data']), self.size
        ).coalesce()
        if form == 'dense':
            self.matrix = matrix.to_dense()
        elif form == 'edge_index':
            self.values = matrix.values()
            self.matrix = torch_geometric.EdgeIndex(
                matrix.indices(), sparse_size=self.size, sort_order='row'
            ).fill_cache_()
        else:
            self.matrix = {
                'csr': matrix.to_sparse_csr,
                'csc': matrix.to_sparse_csc,
                'coo': lambda: matrix,
            }[form]()

    def forward(self) -> torch.Tensor:
        x = self.matrix
        if self.form == 'edge_index' or not self.training or not self.rate:
            return x
        if self.form == 'dense':
            return functional.dropout(x, self.rate)
        values = functional.dropout(x.values(), self.rate)
        if self.form == 'coo':
            return torch.sparse_coo_tensor(x.indices(), values, self.size, is_coalesced=True)
        if self.form == 'csr':
            return torch.sparse_csr_tensor(x.crow_indices(), x.col_indices(), values, self.size)
        return torch.sparse_csc_tensor(x.ccol_indices(), x.row_indices(), values, self.size)


class EdgeIndexLinear(nn.Module):
    """In place of an operator's linear layer, for features that are an EdgeIndex."""

    def __init__(self, linear: nn.Module, features: Features):
        super().__init__()
        self.weight = linear.weight
        self._features = [features]  # Hidden, so that it is no part of this module.

    def forward(self, x: torch_geometric.EdgeIndex) -> torch.Tensor:
        features = self._features[0]
        values = functional.dropout(features.values, features.rate, self.training)
        return x.matmul(self.weight.t(), input_value=values)


# Edges.


def connected(network: str, found: dict, form: str | None) -> tuple:
    """What the operators are called with after the features, in one of EDGES; None: by default."""
    index = torch.from_numpy(found['edge_index']).long()
    if network == 'rgcn':
        types = torch.from_numpy(found['edge_type']).long()
        if form == 'sorted':
            order = torch.argsort(types, stable=True)
            return index[:, order], types[order]
        return index, types
    if form is None:
        return (index,)
    nodes = len(found['labels'])
    weight = torch.ones(index.shape[1])
    if network == 'gcn':
        index, weight = gcn_conv.gcn_norm(index, weight, nodes)
    else:
        index, weight = torch_geometric.utils.add_self_loops(index, weight, 1.0, nodes)
    arguments = (index, weight) if network == 'gcn' else (index,)
    if form == 'plain':
        return arguments
    if form in ('csr', 'csc'):
        matrix = torch.sparse_coo_tensor(index.flip(0), weight, (nodes, nodes)).coalesce()
        return ((matrix.to_sparse_csr if form == 'csr' else matrix.to_sparse_csc)(),)
    order = torch.argsort(index[1] * nodes + index[0])
    arguments = tuple(argument[..., order].contiguous() for argument in arguments)
    if form == 'edge_index':
        index = torch_geometric.EdgeIndex(
            arguments[0], sparse_size=(nodes, nodes), sort_order='col'
        ).fill_cache_()
        return (index, *arguments[1:])
    return arguments


# Networks.


class Network(nn.Module):
    """Two operators and what is between them."""

    def __init__(self, network: str, found: dict, features: str | None, edges: str | None):
        super().__init__()
        hidden, classes, once = 16, int(found['classes']), edges is not None
        self.activation, self.dropout = functional.relu, 0.0
        if network == 'rgcn':
            kind = operators.FastRGCNConv if edges == 'fast' else operators.RGCNConv
            nodes, relations = len(found['labels']), int(found['relations'])
            self.features = lambda: None
            more = {'num_bases': 30, 'is_sorted': edges == 'sorted'}
            self.first = kind(nodes, hidden, relations, **more)
            self.second = kind(hidden, classes, relations, **more)
            return
        form, columns = features or 'dense', int(found['x_columns'])
        if network == 'gcn':
            self.dropout = 0.5
            self.features = Features(found, form, 0.0)
            self.first = operators.GCNConv(columns, hidden, normalize=not once)
            self.second = operators.GCNConv(hidden, classes, normalize=not once)
        else:
            self.activation, self.dropout = functional.elu, 0.6
            self.features = Features(found, form, 0.6)
            more = {'dropout': 0.6, 'add_self_loops': not once}
            self.first = operators.GATConv(columns, 8, heads=8, **more)
            self.second = operators.GATConv(64, classes, concat=False, **more)
        if form == 'edge_index':
            self.first.lin = EdgeIndexLinear(self.first.lin, self.features)

    def forward(self, *edges) -> torch.Tensor:
        x = self.activation(self.first(self.features(), *edges))
        x = functional.dropout(x, self.dropout, self.training)
        return self.second(x, *edges)


class Training:
    """A network's training on one graph.

    Args:
      network: 'gcn', 'gat' or 'rgcn'.
      found: of `read`.
      features: one of FEATURES, or None.
      edges: one of EDGES, or None: both None is what the library's users write.
    """

    def __init__(self, network: str, found: dict, features: str | None, edges: str | None):
        torch.manual_seed(0)
        self.model = Network(network, found, features, edges)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=LEARNING_RATE, fused=edges is not None or None
        )
        self.edges = connected(network, found, edges)
        self.labels = torch.from_numpy(found['labels']).long()
        self.nodes = torch.from_numpy(found['nodes']).long()

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def run(self, epochs: int) -> float:
        """Trains on; returns the loss of the last epoch."""
        self.model.train()
        for _ in range(epochs):
            self.optimizer.zero_grad()
            logits = self.model(*self.edges)
            loss = functional.cross_entropy(logits[self.nodes], self.labels[self.nodes])
            loss.backward()
            self.optimizer.step()
        return loss.item()


def timed(training: Training, warm_up: int, epochs: int) -> tuple[float, float]:
    """Seconds of `epochs` after `warm_up`, and the last loss."""
    training.run(warm_up)
    start = time.perf_counter()
    loss = training.run(epochs)
    return time.perf_counter() - start, loss


def find(network: str, found: dict, epochs: int, threads: int) -> dict:
    """Times the forms: of the edges; with the best one of the features; with that one processor.

    Returns:
      'seconds' of the forms that work, why others 'failed', 'fastest': the options of one.
    """
    seconds, failed = {}, {}

    def measure(**form) -> float:
        name = ', '.join(f'{value} {option}' for option, value in form.items())
        if name not in seconds and name not in failed:
            torch.set_num_threads(form['threads'])
            try:
                training = Training(network, found, form.get('features'), form['edges'])
                seconds[name] = timed(training, 2, epochs)[0]
            except Exception as error:  # Whatever a library has to say to a form that it has not.
                failed[name] = (str(error).strip() or type(error).__name__).splitlines()[0]
        return seconds.get(name, float('inf'))

    fastest = {} if network == 'rgcn' else {'features': 'csr'}
    steps = [('edges', EDGES[network]), ('features', FEATURES), ('threads', {1, threads})]
    fastest |= {'edges': 'plain', 'threads': threads}
    for option, values in steps:
        if option in fastest:
            fastest[option] = min(values, key=lambda value: measure(**fastest | {option: value}))
    return {'seconds': seconds, 'failed': failed, 'fastest': fastest}


def memory_mb() -> dict[str, float]:
    """What this process holds and the most it ever held, MB of 10^6 bytes, where Linux says so."""
    try:
        with open('/proc/self/status', encoding='utf8') as file:
            rows = dict(line.split(':', 1) for line in file)
    except OSError:
        return {}
    return {
        name: int(rows[row].split()[0]) * 1024 / 1e6
        for name, row in (('now_mb', 'VmRSS'), ('peak_mb', 'VmHWM'))
        if row in rows
    }


def main() -> None:
    libraries_mb = memory_mb().get('now_mb')
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('network', choices=list(EDGES))
    parser.add_argument('graph', help='file of arrays')
    parser.add_argument('--epochs', type=int, default=200)
    parser.add_argument('--warm_up', type=int, default=10, help='epochs before')
    parser.add_argument('--features', choices=FEATURES)
    parser.add_argument('--edges', choices=sorted(set().union(*EDGES.values())))
    parser.add_argument('--find', action='store_true', help='the fastest form')
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    network, features, edges = arguments.network, arguments.features, arguments.edges
    if edges and edges not in EDGES[network]:
        parser.error(f'--edges={edges}: {network} has {", ".join(EDGES[network])}')
    if network != 'rgcn' and (features is None) != (edges is None):
        parser.error('--features and --edges go together')
    warnings.simplefilter('ignore')  # That sparse matrices are in beta.
    torch.set_num_threads(arguments.threads)
    # As TensorFlow does: moments that die out must not slow it down.
    torch.set_flush_denormal(True)
    found = read(arguments.graph, network)
    libraries = {'torch': torch.__version__, 'torch_geometric': torch_geometric.__version__}
    if arguments.find:
        tried = find(network, found, arguments.epochs, arguments.threads)
        print(json.dumps({**tried, 'libraries': libraries}))
        return
    training = Training(network, found, features, edges)
    seconds, loss = timed(training, arguments.warm_up, arguments.epochs)
    print(
        json.dumps(
            {
                'seconds': seconds,
                'loss': loss,
                'parameters': training.parameters,
                'memory': {'libraries_mb': libraries_mb, 'peak_mb': memory_mb().get('peak_mb')},
                'libraries': libraries,
            }
        )
    )


if __name__ == '__main__':
    main()
