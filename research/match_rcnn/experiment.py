"""Training of Match R-CNN with the tables of the paper and the files of its benchmark."""

from __future__ import annotations

import os

from official.core import keras_experiment, page, report, run_folder
from research.match_rcnn import categories, evaluation, inference, measurement, result_files, tables


class MatchExperiment(keras_experiment.KerasExperiment):
    """A `KerasExperiment` whose evaluation also leaves the benchmark's files in `<run_dir>/results`
    and whose report begins with Tables 2 to 5 and Figure 6 (d).

    Its evaluator is a `MatchEvaluation`, also where none is given. Arguments are those of
    `KerasExperiment`.
    """

    def _logs(self, split, final=True):
        if not final:
            return super()._logs(split, final)
        evaluator = self.evaluator or measurement.MatchEvaluation()
        found = inference.detections(
            self.model,
            self.data,
            self.strategy,
            split,
            raw_pixels=evaluator.raw_pixels and bool(self.model.matching_network),
        )
        table = self.data.table(split)
        retrieved = searched = None
        if self.model.matching_network:
            covered = evaluation.covered(table, found)
            weight = self.model.matching_network.distance_weights.numpy()
            searched = evaluation.search(covered, found, weight, evaluator.min_gallery_score)
            retrieved = evaluation.retrieve(
                covered,
                found,
                weight,
                evaluator.min_gallery_score,
                evaluator.must_overlap,
                searched,
            )
        if self.is_chief:
            result_files.write(os.path.join(self.run_dir, 'results'), table, found, searched)
        logs = evaluator.measure(self.model, table, found, retrieved=retrieved)
        problems = {part: self.data.problems(part) for part in ('train', split)}
        features = '+'.join(self.model.match_features)
        return logs | {'problems': problems} | ({'features': features} if features else {})

    def own_sections(self) -> list:
        path = os.path.join(self.run_dir, run_folder.RESULT)
        if not os.path.exists(path):
            return []
        result = report.read_result(path)
        sections = self._tables(result['tables']) if 'tables' in result else []
        problems = [
            (split, kind, found['count'], ', '.join(found['files']))
            for split, kinds in result.get('problems', {}).items()
            for kind, found in kinds.items()
        ]
        if problems:
            sections.append(
                page.Section(
                    'What the data had to have mended',
                    page.table(problems, ('part', 'what', 'how often', 'the first files')),
                )
            )
        return sections

    def _tables(self, metrics):
        sections = []
        precision = tables.precision_tables(
            metrics, beside_paper=tuple(self.data.class_names) == categories.NAMES
        )
        if precision:
            sections.append(
                page.Section('Detection, landmarks, masks (Tables 2 to 4)', tables.html(precision))
            )
        features = '+'.join(self.model.match_features)
        rows = {features: metrics} if features else {}
        raw = {
            name.replace('pixels', 'retrieval'): values
            for name, values in metrics.items()
            if name.startswith('pixels')
        }
        retrieval = tables.retrieval_table(rows | ({'raw pixels': raw} if raw else {}))
        if retrieval is not None:
            sections.append(
                page.Section(
                    'Consumer-to-shop retrieval (Table 5, Figure 6 (d))',
                    tables.html([retrieval]) + tables.accuracy_curve(metrics, features),
                )
            )
        return sections
