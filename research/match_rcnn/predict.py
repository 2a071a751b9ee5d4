"""Writes the benchmark's result files for a split of images, with or without annotations.

    ./garden python -m research.match_rcnn.predict SAVED_MODEL FOLDER RESULTS [--consumer_images=N]

SAVED_MODEL is an exported model, FOLDER a split with image/, as the test split is handed out. Where
there is no annos/, N says which images are consumers': those with a number up to that, 20681 in
the released test split. Without it no retrieval is written.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import numpy as np
import tensorflow as tf
import tqdm

from official.data import problems as problems_lib
from research.match_rcnn import deepfashion2, evaluation, inference, result_files

# Change of the similarity by a second probe, in logits. A probability near 1 has lost digits.
_DOWN, _UP = 8.0, 1.0


def predict(
    saved_model: str,
    folder: str,
    results: str,
    consumer_images: int | None = None,
    min_gallery_score: float = 0.0,
) -> list[str]:
    """Looks at every image of a split and writes the result files.

    Args:
      saved_model: folder of an exported `MatchRCNN` of DeepFashion2's classes.
      folder: of the split.
      results: folder to write into.
      consumer_images: see `deepfashion2.with_sources`.
      min_gallery_score: see `evaluation.search`.

    Returns:
      The paths of the files.

    Raises:
      FileNotFoundError: there is no such model or folder.
      ValueError: what `deepfashion2.load` says.
    """
    if not os.path.exists(os.path.join(saved_model, 'saved_model.pb')):
        raise FileNotFoundError(f'{saved_model}: there is no exported model.')
    table = deepfashion2.load(folder, skip_malformed=True, consumer_images=consumer_images)
    signatures = tf.saved_model.load(saved_model).signatures
    found, rows = [], []
    # Where its output goes to a file, one line a while is enough.
    for row in tqdm.tqdm(
        range(table.num_images), 'predict', unit='image', disable=not sys.stderr.isatty()
    ):
        image = _detections(signatures['detect'], table, row)
        if image is not None:
            found.append(image)
            rows.append(row)
    table.problems.print_summary()
    if not found:
        raise ValueError(f'{folder}: there is no image that can be read.')
    retrieved = None
    if 'similarity' in signatures and 'embeddings' in found[0]:
        weight = distance_weights(signatures['similarity'], found[0]['embeddings'].shape[1])
        retrieved = evaluation.search(table.subset(rows), found, weight, min_gallery_score)
    return result_files.write(results, table, found, retrieved)


def _detections(detect, table, row) -> dict | None:
    """The detections of an image as `evaluation.evaluate` has them; None where it is damaged."""
    try:
        with open(table.paths[row], 'rb') as file:
            answer = detect(files=tf.constant([file.read()]))
    except (OSError, tf.errors.InvalidArgumentError):
        table.problems.add(problems_lib.DAMAGED, table.paths[row])
        return None
    answer = {name: values.numpy()[0] for name, values in answer.items()}
    real = answer['scores'] > 0
    height, width = (int(size) for size in answer['sizes'])
    image = {'image_id': int(table.image_ids[row])} | {
        name: answer[name][real]
        for name in ('boxes', 'classes', 'scores', 'landmarks', 'embeddings')
        if name in answer
    }
    if 'masks' in answer:
        image['masks'] = inference.encoded(answer['masks'][real], image['boxes'], height, width)
    return image


def distance_weights(similarity: Any, units: int) -> np.ndarray:
    """w of a similarity that is the logistic function of w . (v1 - v2)^2 + b.

    An exported model gives probabilities of pairs; to search a gallery by products of matrices
    takes the weights behind them, which one pair for each unit shows. A first probe tells how far
    to go, so that the second loses nothing to rounding.

    Args:
      similarity: signature of an exported model.
      units: numbers of an embedding.

    Returns:
      float64 [units].
    """

    def logits(distances):
        probability = (
            similarity(v1=tf.constant(np.diag(distances), tf.float32), v2=tf.zeros([units, units]))[
                'probability'
            ]
            .numpy()
            .astype(np.float64)
        )
        probability = np.clip(probability, 1e-37, 1 - 1e-7)
        return np.log(probability) - np.log1p(-probability)

    start = logits(np.zeros(units))
    first = logits(np.ones(units)) - start
    move = np.where(first > 0, _UP, _DOWN)
    distances = np.sqrt(move / np.maximum(np.abs(first), 1e-3)).astype(np.float32)
    return (logits(distances) - start) / np.square(distances.astype(np.float64))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog='python -m research.match_rcnn.predict',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('saved_model', help='folder of an exported model')
    parser.add_argument('folder', help='folder of a split, with image/')
    parser.add_argument('results', help='folder to write into')
    parser.add_argument(
        '--consumer_images',
        type=int,
        metavar='N',
        help="images up to number N are consumers', the others shops'",
    )
    options = parser.parse_args(arguments)
    try:
        paths = predict(
            options.saved_model, options.folder, options.results, options.consumer_images
        )
    except (ValueError, OSError) as error:
        parser.exit(1, f'{error}\n')
    print('\n'.join(paths))


if __name__ == '__main__':
    main(sys.argv[1:])
