"""Runs an experiment in a mode, for one seed or for several whose results are averaged."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from official.core import checks, config, distribution, files, results, run_folder

MODES = {
    'train': ('train',),
    'evaluate': ('evaluate',),
    'train_and_evaluate': ('train', 'evaluate', 'export', 'report'),
    'export': ('export',),
    'report': ('report',),
}


class Run:
    """The top of a gin configuration: which experiment, and how often.

    `changeable`, here and in experiments, names the parameters that may change after the training:
    five seeds become ten in the same folder.

    Args:
      experiment: subclass of `official.core.experiment.Experiment`, or a function, called as
        experiment(run_dir=, seed=, data_dir=, strategy=).
      num_seeds: with 1 the run folder is the experiment's own; with more, seed s is run in its
        subfolder `seed_<s>` and the averages are in the run folder's `result.json`.
      deterministic: let TensorFlow use deterministic operations only, so that a run that is stopped
        and resumed ends with the same bits. Costs nothing to speak of on the CPU.

    Raises:
      ValueError: if `num_seeds` is not a positive integer, or `deterministic` not True or False.
    """

    changeable = ('num_seeds',)

    def __init__(self, experiment: Callable, num_seeds: int = 1, deterministic: bool = True):
        checks.called('Run', experiment=experiment)
        checks.positive('Run', num_seeds=num_seeds)
        checks.switch('Run', deterministic=deterministic)
        self.experiment = experiment
        self.num_seeds = num_seeds
        self.deterministic = deterministic

    def __call__(
        self,
        mode: str,
        run_dir: str,
        seed: int = 0,
        data_dir: str | None = None,
        strategy: Any = None,
    ) -> dict | None:
        """Runs the experiment and prints the result.

        Every worker of a cluster calls this, and all methods of the experiment; the chief alone
        looks after the run folder.

        Args:
          mode: one of MODES.
          run_dir: the run folder; made if it does not exist.
          seed: the seed, or the first of several.
          data_dir: folder of the data, or None.
          strategy: `tf.distribute.Strategy`, or None for the default.

        Returns:
          The result if the mode evaluates: of one seed what the experiment's `evaluate` returns, of
          several `results.average`.
        """
        import tensorflow as tf

        strategy = strategy or tf.distribute.get_strategy()
        chief = distribution.is_chief(strategy)
        if self.deterministic:
            tf.config.experimental.enable_op_determinism()
        several = self.num_seeds > 1
        bound = config.active()
        deciding = bound.deciding() if bound else {}
        others = {
            key: value
            for key, value in (bound.bindings() if bound else {}).items()
            # A seed is finished however many there are.
            if key not in deciding and key != f'{config.RUN}.num_seeds'
        }

        # Whole, as a later evaluation may be started in another folder.
        given = data_dir
        if data_dir is not None and not files.is_remote(data_dir):
            given = os.path.abspath(data_dir)

        def claim(folder, seed, several):
            identity = run_folder.Identity(seed, several, deciding, others, given)
            return run_folder.claim(folder, identity, starts='train' in mode, write=chief)

        def run(folder, seed):
            tf.keras.utils.set_random_seed(seed)
            return self._run(
                mode,
                folder,
                chief,
                dict(run_dir=folder, seed=seed, data_dir=data_dir, strategy=strategy),
            )

        with claim(run_dir, seed, several):
            # No other worker may come before the chief, which wants an empty folder.
            distribution.from_all_workers(strategy, 0)
            if chief and bound:
                run_folder.write_text(os.path.join(run_dir, run_folder.CONFIG), bound.text())
            if not several:
                result = run(run_dir, seed)
            else:
                result = self._run_seeds(mode, run_dir, seed, chief, claim, run)
        if result and chief:
            print('\n'.join(results.lines(result)), flush=True)
        return result

    def _run_seeds(self, mode, run_dir, first, chief, claim, run) -> dict | None:
        import tensorflow as tf

        each = []
        for seed in range(first, first + self.num_seeds):
            folder = os.path.join(run_dir, f'seed_{seed}')
            with claim(folder, seed, False):
                if mode == 'train_and_evaluate' and run_folder.is_finished(folder):
                    each.append(run_folder.read_json(os.path.join(folder, run_folder.RESULT)))
                    continue
                if chief:
                    print(f'seed {seed} ({len(each) + 1} of {self.num_seeds})', flush=True)
                result = run(folder, seed)
                if mode == 'report':  # Of the seeds together, too, which needs their results.
                    result = run_folder.read_json(os.path.join(folder, run_folder.RESULT))
                each.append(result)
            tf.keras.backend.clear_session()
        if not all(each):
            return None
        result = results.average(each)
        name = run_folder.name_of(run_dir)
        if name is not None:
            result['run'] = name
        if chief:
            path = os.path.join(run_dir, run_folder.RESULT)
            run_folder.write_text(path, json.dumps(result, indent=2) + '\n')
            if 'report' in MODES[mode]:
                from official.core import report

                report.run_report(run_dir, os.path.basename(os.path.normpath(run_dir)))
        return result if 'evaluate' in MODES[mode] else None

    def _run(self, mode: str, run_dir: str, chief: bool, arguments: dict) -> dict | None:
        bound = config.active()

        def save_configuration():
            if not chief or not bound:
                return
            run_folder.write_text(os.path.join(run_dir, run_folder.CONFIG), bound.text())
            run_folder.write_text(
                os.path.join(run_dir, run_folder.OPERATIVE_CONFIG), config.operative_text()
            )

        experiment = self.experiment(**arguments)
        # Now, in case the run is killed, and at the end, when all that is used was used.
        save_configuration()
        result = None
        for method in MODES[mode]:
            returned = getattr(experiment, method)()
            result = returned if method == 'evaluate' else result
        save_configuration()
        if chief and mode == 'train_and_evaluate':
            run_folder.finish(run_dir)
        return result
