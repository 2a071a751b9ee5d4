"""What the report of a classifier of point clouds shows beside curves and figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from official.core import figures, page
from research.geometric import embedding

_SPLIT = 'test'


class PointReport:
    """A cloud of each class, the clouds that are taken for another, and the embedding of all.

    Args:
      most_wrong: clouds drawn at the most of those that are taken for another class.
      most_clouds: clouds of the test set embedded at the most, the first ones.
    """

    def __init__(self, most_wrong: int = 8, most_clouds: int = 2000):
        self.most_wrong = most_wrong
        self.most_clouds = most_clouds

    def __call__(self, model: tf.keras.Model, data: Any, key: tf.Tensor) -> list[page.Section]:
        """Sections of the report.

        Args:
          model: `PointClassifier`, trained.
          data: `PointData`.
          key: not used.
        """
        del key
        clouds, labels, answers, features = self._answers(model, data)
        names = data.class_names
        firsts = [np.flatnonzero(labels == label)[0] for label in np.unique(labels)]
        wrong = np.flatnonzero(labels != answers)[: self.most_wrong]
        drawn = ''.join(_cloud(clouds[i], names[labels[i]], names[answers[i]]) for i in firsts)
        text = (
            page.paragraph(
                f'The first {_SPLIT} cloud of each class, seen from the side and above; a point is '
                'the darker the higher it is.'
            )
            + f'<div class="small figures">{drawn}</div>'
        )
        if wrong.size:
            drawn = ''.join(_cloud(clouds[i], names[labels[i]], names[answers[i]]) for i in wrong)
            text += f'<h3>Taken for another class</h3><div class="small figures">{drawn}</div>'
        train = data.members('train')
        counts = np.bincount(data.labels[train], minlength=data.num_classes)
        weights = sum(int(np.prod(w.shape)) for w in model.trainable_variables)
        rows = [
            ['weights of the network', weights],
            ['points of a cloud', data.num_points],
            ['points of an object to draw from', data.points.shape[1]],
            *([f'clouds of split {split}', len(rows)] for split, rows in data.splits.items()),
            *(
                [f'training clouds of class {name}', int(count)]
                for name, count in zip(names, counts, strict=True)
            ),
        ]
        return [
            page.Section('Clouds', text),
            embedding.section('Embedding of the clouds', features, labels, names, 'cloud'),
            page.Section('Data and network', page.table(rows)),
        ]

    def _answers(self, model, data):
        """Points, labels, answers and global features of the first clouds."""

        @tf.function
        def step(points):
            return model(points), model.embed(points)

        parts = []
        for points, labels, weights, *_ in data.evaluation(_SPLIT):
            logits, features = step(points)
            real = weights.numpy() > 0
            parts.append(
                [
                    array[real]
                    for array in (
                        points.numpy(),
                        labels.numpy(),
                        logits.numpy().argmax(1),
                        features.numpy(),
                    )
                ]
            )
            if sum(len(part[0]) for part in parts) >= self.most_clouds:
                break
        return [np.concatenate(arrays)[: self.most_clouds] for arrays in zip(*parts, strict=True)]


def _cloud(points: np.ndarray, true: str, answer: str) -> str:
    """A picture of one cloud, z up, turned a little."""
    turn, tilt = np.deg2rad(30), np.deg2rad(20)
    x = np.cos(turn) * points[:, 0] - np.sin(turn) * points[:, 1]
    depth = np.sin(turn) * points[:, 0] + np.cos(turn) * points[:, 1]
    up = np.cos(tilt) * points[:, 2] + np.sin(tilt) * depth
    order = np.argsort(-depth, kind='stable')  # What is near is drawn last.
    title = true if true == answer else f'{true}, taken for {answer}'
    with figures.figure(2.4, 2.4) as drawing:
        axes = drawing.add_subplot()
        axes.set_title(title, fontsize=9)
        axes.scatter(
            x[order],
            up[order],
            c=points[order, 2],
            cmap='viridis_r',
            s=4,
            linewidth=0,
            rasterized=True,
        )
        axes.set_axis_off()
        axes.set_aspect('equal')
        axes.set_xlim(-1.5, 1.5)
        axes.set_ylim(-1.5, 1.5)
        return figures.svg(drawing, f'A cloud of {len(points)} points: {title}')
