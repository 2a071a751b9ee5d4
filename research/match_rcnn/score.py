"""Scores result files of the benchmark: boxes, landmarks, masks and retrieval, as Tables 2 to 5.

    ./garden python -m research.match_rcnn.score RESULTS FOLDER [--json]
    ./garden python -m research.match_rcnn.score RESULTS --queries=val_query.json \
        --gallery=val_gallery.json

RESULTS is a folder with some of bbox_results.json, keys_results.json, segm_results.json and
retrieval_results.json. FOLDER is a split of DeepFashion2, with image/ and annos/, or a file in
COCO's format. Retrieval may be scored against the two files of the benchmark instead.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from official.data import coco, detection_table
from research.match_rcnn import (
    categories,
    deepfashion2,
    evaluation,
    measurement,
    result_files,
    retrieval_protocol,
    retrieval_truth,
    tables,
)


def score(
    results: str,
    table: detection_table.DetectionTable,
    all_images: bool = True,
    must_overlap: bool = False,
    sigmas: float | None = None,
) -> dict[str, Any]:
    """Scores those of the result files that are there.

    Args:
      results: folder of the files.
      table: of the ground truth.
      all_images: it has all images and all that is labelled; else, as `retrieval_truth.load` makes
        it, only retrieval can be scored.
      must_overlap: see `retrieval_protocol.select`.
      sigmas: see `measurement.sigmas_of`.

    Returns:
      What `evaluation.evaluate` returns, with 'retrieval_detected' for retrieval; where landmarks
      are scored also 'landmark_sigmas', a text.

    Raises:
      FileNotFoundError: none of the files is there.
      ValueError: a file is damaged, or an entry fits no image or class, with file and entry.
    """
    paths = {kind: os.path.join(results, kind) for kind in result_files.FILES}
    there = {kind: path for kind, path in paths.items() if os.path.exists(path)}
    if not all_images:
        there = {kind: path for kind, path in there.items() if kind == result_files.RETRIEVAL}
    if not there:
        wanted = result_files.FILES if all_images else (result_files.RETRIEVAL,)
        raise FileNotFoundError(f'{results}: there is no {", no ".join(wanted)}.')
    metrics: dict[str, Any] = {}
    for kind, path in there.items():
        try:
            metrics |= _scored(kind, path, table, all_images, must_overlap, sigmas)
        except ValueError as error:
            known = str(error).startswith(path)
            raise ValueError(str(error) if known else f'{path}: {error}') from None
    return metrics


def _scored(kind, path, table, all_images, must_overlap, sigmas) -> dict:
    if kind == result_files.BOXES:
        return {'box': evaluation.of_boxes(table, result_files.read(path, kind))}
    if kind == result_files.MASKS:
        return {'mask': evaluation.of_masks(table, result_files.read(path, kind))}
    if kind == result_files.LANDMARKS:
        values, whose = measurement.sigmas_of(table, sigmas)
        if values is None:
            return {'landmark_sigmas': whose}
        rows = result_files.own_landmarks(path, table)
        return evaluation.of_landmarks(table, rows, values) | {'landmark_sigmas': whose}
    judgement = retrieval_protocol.judge(
        table,
        result_files.read_retrieval(path, table),
        must_overlap=must_overlap,
        all_images=all_images,
    )
    return {'retrieval_detected': retrieval_protocol.accuracies(table, judgement)}


def text(metrics: dict[str, Any], beside_paper: bool = True) -> str:
    """Tables 2 to 5 of what `score` returns, the paper's rows of DeepFashion2 in them if wanted."""
    parts = [table.text() for table in tables.precision_tables(metrics, beside_paper)]
    if 'landmark_sigmas' in metrics:
        parts.append(f'Sigmas of OKS: {metrics["landmark_sigmas"]}.')
    retrieval = tables.retrieval_table({'these results': metrics})
    if retrieval is not None:
        overall = metrics['retrieval_detected']['overall']
        missed = metrics['retrieval_detected']['missed']
        parts.append(retrieval.text())
        parts.append(
            '  '.join(f'{name} {tables.shown(value)}' for name, value in overall.items())
            + f'  ({missed} queries not detected)'
        )
    return '\n\n'.join(parts)


def truth(
    path: str, skip_malformed: bool = False, consumer_images: int | None = None
) -> detection_table.DetectionTable:
    """The ground truth in a folder of a split, or in a file in COCO's format.

    Args:
      path: the folder or file.
      skip_malformed: leave out what cannot be right and count it, in place of an error.
      consumer_images: see `deepfashion2.with_sources`.

    Raises:
      FileNotFoundError: there is no such folder or file.
      ValueError: what the readers say.
    """
    if os.path.isdir(path):
        table = deepfashion2.load(
            path, skip_malformed=skip_malformed, annotated=True, consumer_images=consumer_images
        )
        table.problems.print_summary()
        return table
    table = coco.load(
        path,
        os.path.dirname(path) or '.',
        check_images=False,
        skip_malformed=skip_malformed,
        end_to_end=deepfashion2.end_to_end(),
    )
    return deepfashion2.with_sources(table, consumer_images)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog='python -m research.match_rcnn.score',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('results', help='folder of the result files')
    parser.add_argument('truth', nargs='?', help='folder of a split, or a COCO JSON file')
    parser.add_argument('--queries', help="the benchmark's val_query.json")
    parser.add_argument('--gallery', help="the benchmark's val_gallery.json")
    parser.add_argument(
        '--consumer_images',
        type=int,
        metavar='N',
        help='images up to number N are'
        " consumers', the others shops', where the ground truth does not say it",
    )
    parser.add_argument(
        '--skip_malformed', action='store_true', help='leave out annotations that cannot be right'
    )
    parser.add_argument(
        '--must_overlap',
        action='store_true',
        help='a detection that overlaps no item stands for none, not for the first of its image',
    )
    parser.add_argument('--sigma', type=float, help='of OKS, for every landmark')
    parser.add_argument('--json', action='store_true', help='print JSON')
    options = parser.parse_args(arguments)
    files = options.queries is not None and options.gallery is not None
    if files == (options.truth is not None) or (options.queries is None) != (
        options.gallery is None
    ):
        parser.error(
            'either the folder or file of the ground truth is needed, or both --queries '
            'and --gallery'
        )
    try:
        if files:
            table = retrieval_truth.load(options.queries, options.gallery)
        else:
            table = truth(options.truth, options.skip_malformed, options.consumer_images)
        metrics = score(options.results, table, not files, options.must_overlap, options.sigma)
    except (ValueError, OSError) as error:
        parser.exit(1, f'{error}\n')
    beside_paper = tuple(table.class_names) == categories.NAMES
    print(json.dumps(metrics, indent=2) if options.json else text(metrics, beside_paper))


if __name__ == '__main__':
    main(sys.argv[1:])
