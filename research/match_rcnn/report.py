"""What a Match R-CNN's report shows beside the tables: Figures 5 and 6 of Ge et al. 2019."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from official.core import checks, figures, page
from official.core.page import Section
from official.data import detection_table
from research.match_rcnn import (
    categories,
    evaluation,
    inference,
    measurement,
    pictures,
    retrieval_protocol,
)

_TRIED = 4  # Times as many queries as are shown: not all are detected.


class MatchReport:
    """The sections with pictures of a report on a `MatchRCNN`.

    - Annotations, and detections with landmarks, skeletons and masks beside them (Figure 6 (a) and
      (b)), of images at equal distances: none is chosen.
    - Where the classes are DeepFashion2's, skeletons, contours and first-stage masks that the
      landmarks of these images give, beside the annotated masks (Sec. 2.1).
    - Queries with the items that are retrieved for them, right ones framed in green, wrong ones in
      red (Figure 6 (c)).
    - Failures (Figure 5): the images with the most items missed, those in red; and the masks that
      overlap least with the annotated ones, below 0.5, where box and class are right.

    Args:
      images: rows of the first section and of the second.
      queries: rows of the third.
      failures: pictures of the fourth, and rows of the fifth.
      matches: items that are shown for a query.
      looked_at: images, at equal distances, that are looked at for all of this. Retrieval looks at
        the queries' images and at those of shops with their garments, too: else in a large set
        hardly any of them would be among these.

    Raises:
      ValueError: if one of these is too small.
    """

    def __init__(
        self,
        images: int = 6,
        queries: int = 6,
        failures: int = 4,
        matches: int = 5,
        looked_at: int = 500,
    ):
        checks.positive(
            'MatchReport',
            images=images,
            queries=queries,
            failures=failures,
            matches=matches,
            looked_at=looked_at,
        )
        self.images, self.queries, self.failures = images, queries, failures
        self.matches, self.looked_at = matches, looked_at

    def __call__(self, model: tf.keras.Model, data: Any, key: tf.Tensor) -> list[Section]:
        """The sections, of the validation images.

        Args:
          model: a `MatchRCNN` with the weights that are reported.
          data: its `MatchData`.
          key: not used: nothing here is random.
        """
        del key
        table = data.table('validation')
        rows = measurement.some_rows(table, self.looked_at)
        items = np.zeros(0, np.int64)
        if model.matching_network:
            items = _some(retrieval_protocol.queries(table)[0], _TRIED * self.queries)
        every = inference.detections(
            model,
            data,
            tf.distribute.get_strategy(),
            'validation',
            np.union1d(rows, _rows_of_garments(table, items)),
        )
        of_row = {one['row']: one for one in every}
        found = [of_row[row] for row in rows]
        reader = data.source.reader('validation')

        def read(row):
            return pictures.read(table, row, reader)

        return [
            section
            for section in (
                self._detections(table, found, read),
                self._stages(table, found, read),
                self._retrieval(model, table, every, items, read),
                self._failures(table, found, read),
                self._masks(model, table, found, read),
            )
            if section is not None
        ]

    def _detections(self, table, found, read):
        chosen = _some(found, self.images)
        rows = []
        for one in chosen:
            image = read(one['row'])
            rows.append(
                [
                    pictures.truth(table, one['row'], image) / 255,
                    pictures.detections(table, one, image) / 255,
                ]
            )
        grid = figures.image_grid(
            rows, [one['image_id'] for one in chosen], ['annotated', 'detected'], large=True
        )
        return Section(
            'Boxes, landmarks and masks (Figure 6 (a), (b))',
            grid
            + page.paragraph(
                'Images at equal distances in the validation set; detections with a score of at '
                'least 0.5.',
                note=True,
            ),
        )

    def _stages(self, table, found, read):
        if table.class_names != categories.NAMES:
            return None
        chosen = _some(found, self.images)
        grid = figures.image_grid(
            [
                [pixels / 255 for pixels in pictures.stages(table, one['row'], read(one['row']))]
                for one in chosen
            ],
            [one['image_id'] for one in chosen],
            ['skeleton', 'contour', 'first-stage mask', 'annotated mask'],
            large=True,
        )
        return Section(
            'From landmarks to masks (Section 2.1)',
            grid
            + page.paragraph(
                'Lines of the skeleton to an occluded landmark are grey. The first-stage mask is '
                'what the contours enclose; people corrected it.',
                note=True,
            ),
        )

    def _retrieval(self, model, table, found, items, read):
        if not len(items):
            return None
        looked_at = evaluation.covered(table, found)
        retrieved, judgement = evaluation.retrieve(
            looked_at, found, model.matching_network.distance_weights.numpy()
        )['detected']
        asked = np.isin(judgement.items, _items_in(looked_at, table, items))
        chosen = _some(np.flatnonzero(asked & (judgement.rows >= 0)), self.queries)
        if not len(chosen):
            return None
        row_of = {one['image_id']: one['row'] for one in found}
        rows = []
        for query in chosen:
            row = judgement.rows[query]
            matches = [
                (read(row_of[int(image)]), box, bool(hit))
                for image, box, hit in list(
                    zip(
                        retrieved.gallery_image_ids[row],
                        retrieved.gallery_boxes[row],
                        judgement.hits[query],
                        strict=True,
                    )
                )[: self.matches]
            ]
            rows.append(
                [
                    pictures.retrieved(
                        read(row_of[int(retrieved.image_ids[row])]), retrieved.boxes[row], matches
                    )
                    / 255
                ]
            )
        names = [
            table.class_names[looked_at.classes[judgement.items[query]] - 1] for query in chosen
        ]
        grid = figures.image_grid(rows, names, [''], large=True)
        return Section(
            'Queries and what was retrieved (Figure 6 (c))',
            grid
            + page.paragraph(
                "Queries at equal distances of those that are detected. Left the consumer's image "
                'with the detected box, then the nearest items of shops: framed in green if it '
                "lies on an item of the query's pair and style, else in red.",
                note=True,
            ),
        )

    def _failures(self, table, found, read):
        missed = np.array([len(pictures.misses(table, one)) for one in found])
        worst = [row for row in np.argsort(-missed, kind='stable')[: self.failures] if missed[row]]
        if not worst:
            return None
        grid = figures.image_grid(
            [[pictures.failure(table, found[row], read(found[row]['row'])) / 255] for row in worst],
            [found[row]['image_id'] for row in worst],
            [''],
            large=True,
        )
        return Section(
            'Failures of detection (Figure 5 (a))',
            grid
            + page.paragraph(
                'The images with the most items missed; their boxes and right classes are in red.',
                note=True,
            ),
        )

    def _masks(self, model, table, found, read):
        if not model.mask_stream:
            return None
        worst = [
            (*mask, one)
            for one in found
            if (mask := pictures.worst_mask(table, one)) and mask[0] < pictures.MATCHED
        ]
        worst = sorted(worst, key=lambda mask: mask[0])[: self.failures]
        if not worst:
            return None
        rows = [
            [
                pixels / 255
                for pixels in pictures.masks_compared(table, one, item, index, read(one['row']))
            ]
            for _, item, index, one in worst
        ]
        grid = figures.image_grid(
            rows,
            [f'IoU {overlap:.2f}, {one["image_id"]}' for overlap, _, _, one in worst],
            ['annotated', 'detected'],
            large=True,
        )
        return Section(
            'Failures of segmentation (Figure 5 (b))',
            grid
            + page.paragraph(
                'Of the detections whose box and class are right, those whose mask overlaps least '
                'with the annotated one, below 0.5.',
                note=True,
            ),
        )


def _some(values, number):
    """At most `number` of the values, at equal distances."""
    number = min(number, len(values))
    places = np.unique(np.linspace(0, len(values) - 1, number).round().astype(int))
    return values[places] if isinstance(values, np.ndarray) else [values[row] for row in places]


def _rows_of_garments(table, items):
    """The images of some items, and those of shops that show the same garments."""
    images, identities = table.images_of_items(), retrieval_protocol.identities_of(table)
    of_shops = table.sources[images] == detection_table.SHOP
    same = of_shops & np.isin(identities, identities[items])
    return np.union1d(images[items], images[same])


def _items_in(looked_at, table, items):
    """Rows of some items of a table in another that has their images."""
    images = table.images_of_items()[items]
    where = {image: row for row, image in enumerate(looked_at.image_ids.tolist())}
    return np.array(
        [
            looked_at.first[where[int(table.image_ids[image])]] + item - table.first[image]
            for image, item in zip(images, items, strict=True)
        ]
    )
