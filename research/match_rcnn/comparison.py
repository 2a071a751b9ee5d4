"""Table 5 of Ge et al. 2019 from several runs, one of each feature choice.

    ./garden python -m research.match_rcnn.comparison runs/match_rcnn/garments*

prints the table, with retrieval by raw pixels and the paper's rows in it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from official.core import report
from official.core import run_folder
from research.match_rcnn import published
from research.match_rcnn import tables


def table_5(run_dirs: Sequence[str]) -> tables.Table:
    """The table of finished runs.

    Args:
      run_dirs: run folders, of different features.

    Raises:
      FileNotFoundError: a run has no result.
      ValueError: a run has no retrieval, or two have the same features.
    """
    of_features, raw = {}, None
    for run_dir in run_dirs:
        path = os.path.join(run_dir, run_folder.RESULT)
        if not os.path.exists(path):
            raise FileNotFoundError(f'{path}: there is no such result; train the run first.')
        result = report.read_result(path)
        features, metrics = result.get('features'), result.get('tables', {})
        if not features or 'retrieval_truth' not in metrics:
            raise ValueError(f'{path}: the run has no retrieval.')
        if features in of_features:
            raise ValueError(f'{path}: another run has the features {features}, too.')
        of_features[features] = metrics
        raw = raw or {name.replace('pixels', 'retrieval'): values
                      for name, values in metrics.items() if name.startswith('pixels')}
    order = [*published.FEATURES, *sorted(set(of_features) - set(published.FEATURES))]
    rows = {features: of_features[features] for features in order if features in of_features}
    # The baseline's own detections are those of the first run.
    return tables.retrieval_table(rows | ({'raw pixels': raw} if raw else {}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('run_dirs', nargs='+', help='folders of finished runs')
    try:
        print(table_5(parser.parse_args().run_dirs).text())
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
