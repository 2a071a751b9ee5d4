"""Table 5 of Ge et al. 2019 from several runs, one of each feature choice.

    ./garden python -m research.match_rcnn.comparison runs/match_rcnn/garments*

prints the table, with retrieval by raw pixels and the paper's rows in it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from official.core import report, run_folder
from research.match_rcnn import published, tables


def table_5(run_dirs: Sequence[str]) -> tables.Table | None:
    """The table of finished runs.

    Args:
      run_dirs: run folders, of different features.

    Returns:
      None where no run is finished; others that are not are named and left out.

    Raises:
      FileNotFoundError: there is no such folder.
      ValueError: a run has no retrieval, or two have the same features.
    """
    of_features, raw = {}, None
    for run_dir in run_dirs:
        path = os.path.join(run_dir, run_folder.RESULT)
        if not os.path.isdir(run_dir):
            raise FileNotFoundError(f'{run_dir}: there is no such run folder.')
        if not os.path.exists(path):
            print(f'{run_dir} has no result yet and is left out.', file=sys.stderr)
            continue
        result = report.read_result(path)
        features, metrics = result.get('features'), result.get('tables', {})
        if not features or 'retrieval_truth' not in metrics:
            raise ValueError(f'{path}: the run has no retrieval.')
        if features in of_features:
            raise ValueError(f'{path}: another run has the features {features}, too.')
        of_features[features] = metrics
        raw = raw or {
            name.replace('pixels', 'retrieval'): values
            for name, values in metrics.items()
            if name.startswith('pixels')
        }
    order = [*published.FEATURES, *sorted(set(of_features) - set(published.FEATURES))]
    rows = {features: of_features[features] for features in order if features in of_features}
    # The baseline's own detections are those of the first run.
    return tables.retrieval_table(rows | ({'raw pixels': raw} if raw else {}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('run_dirs', nargs='+', help='folders of finished runs')
    try:
        table = table_5(parser.parse_args().run_dirs)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None
    if table is None:
        raise SystemExit('error: none of these runs is finished.')
    print(table.text())


if __name__ == '__main__':
    main()
