import numpy as np

from research.geometric import embedding


def test_classes_that_lie_apart_stay_apart(monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        embedding,
        '_scatter',
        lambda points, labels, *rest: drawn.update(points=points, labels=labels) or '',
    )
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, -1], 30)
    points = random.normal(size=(90, 5)) + 20 * labels[:, None]
    section = embedding.section('E', points, labels, ('a', 'b'), 'node')
    # Nodes without a label are left out; the nearest neighbour of each point is of its class.
    assert drawn['labels'].tolist() == [0] * 30 + [1] * 30
    distance = np.linalg.norm(drawn['points'][:, None] - drawn['points'], axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert np.all(drawn['labels'][distance.argmin(1)] == drawn['labels'])
    assert 'all 60 are drawn' in section.html


def test_many_points_are_thinned_out_and_all_classes_named():
    random = np.random.default_rng(0)
    section = embedding.section(
        'E', random.normal(size=(300, 4)), np.arange(300) % 3, ('a', 'b', 'c'), 'graph', most=50
    )
    assert '50 of 300' in section.html and '<img alt="E: 50 points of 3 classes"' in section.html


def test_nothing_to_draw():
    for points in (np.zeros((9, 2)), np.full((9, 2), np.nan), np.ones((2, 2))):
        section = embedding.section('E', points, np.zeros(len(points), int), ('a',), 'node')
        assert 'No picture' in section.html
