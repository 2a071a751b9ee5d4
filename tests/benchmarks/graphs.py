"""Sizes of tiny graphs for the tests of the benchmark of graph networks."""

from benchmarks import geometric_data

TINY = geometric_data.Sizes(nodes=30, edges=80, classes=3, labelled=6, features=20, words=90)
RELATIONAL = geometric_data.Sizes(nodes=12, edges=40, classes=2, labelled=5, relations=6)


def sizes_for(network: str) -> geometric_data.Sizes:
    """Of a graph that a network can be trained on."""
    return RELATIONAL if network == 'rgcn' else TINY
