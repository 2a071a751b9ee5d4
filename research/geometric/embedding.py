"""A picture of an embedding: t-SNE, coloured by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from official.core import figures, page


def section(
    title: str,
    points: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    what: str,
    seed: int = 0,
    most: int = 3000,
) -> page.Section:
    """A section of the report with the t-SNE of an embedding (van der Maaten & Hinton 2008).

    Args:
      title: heading.
      points: the embedding, float [n, F].
      labels: class of each point, integers [n]; negative: left out.
      class_names: names of the classes.
      what: what a point is, for the text: 'node', 'graph'.
      seed: which points are drawn when there are more than `most`, and where t-SNE begins.
      most: points at the most; t-SNE takes a minute for 20 000.
    """
    from sklearn.manifold import TSNE

    known = np.flatnonzero(np.asarray(labels) >= 0)
    shown = known
    if len(known) > most:
        shown = np.sort(np.random.RandomState(seed).permutation(known)[:most])
    points, labels = np.asarray(points, np.float64)[shown], np.asarray(labels)[shown]
    if len(points) < 3 or not np.isfinite(points).all() or np.ptp(points) == 0:
        return page.Section(
            title, page.paragraph(f'No picture: {len(points)} points, or all of them in one place.')
        )
    perplexity = min(30.0, (len(points) - 1) / 3)
    start = 'pca' if points.shape[1] > 1 else 'random'
    flat = TSNE(2, perplexity=perplexity, init=start, random_state=seed).fit_transform(points)
    drawn = _scatter(flat, labels, class_names, title)
    part = (
        f'{len(shown):,} of {len(known):,}'.replace(',', ' ')
        if len(shown) < len(known)
        else (f'all {len(known):,}'.replace(',', ' '))
    )
    return page.Section(
        title,
        drawn
        + page.paragraph(
            f'Each point is a {what} ({part} are drawn), its colour its true class; t-SNE with '
            f'perplexity {perplexity:.0f} keeps near what is near in the embedding, and distances '
            'between far groups mean nothing.',
            note=True,
        ),
    )


def _scatter(points, labels, class_names, title) -> str:
    import matplotlib

    classes = np.unique(labels)
    colors = matplotlib.colormaps['tab10' if len(class_names) <= 10 else 'tab20'].colors
    size = float(np.clip(3000 / len(points), 4, 40))
    with figures.figure(6.2, 5.2) as drawing:
        axes = drawing.add_subplot(title=title)
        for label in classes:
            axes.scatter(
                *points[labels == label].T,
                s=size,
                color=colors[label % len(colors)],
                alpha=0.8,
                linewidth=0,
                label=str(class_names[label]),
                rasterized=True,
            )
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect('equal', 'datalim')
        drawing.legend(loc='outside lower left', ncols=4, markerscale=2 if size < 10 else 1)
        return figures.svg(drawing, f'{title}: {len(points)} points of {len(classes)} classes')
