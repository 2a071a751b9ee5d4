"""A suite of games whose report has Figure 3 of Mnih et al. 2015 with all of its scores."""

from __future__ import annotations

from official.core import page, suite
from research.dqn import figure_3, games


class GamesSuite(suite.Suite):
    """A `Suite` of one experiment for each game, such as Extended Data Table 2.

    Its report has Figure 3: the paper's bars, and over them the scores of the suite.

    Arguments are those of `Suite`.
    """

    def sections(self, found: dict[str, dict]) -> list[page.Section]:
        scores = measured(found)
        if not scores:
            return [
                page.Section(
                    'Figure 3',
                    page.paragraph(
                        'No experiment of a game of Extended Data Table 2 has a result yet.'
                    ),
                )
            ]
        percents = {
            game: games.human_normalized_percent(mean, game) for game, (mean, _) in scores.items()
        }
        at_level = sum(value > figure_3.HUMAN_LEVEL_PERCENT for value in percents.values())
        ahead = sum(mean > games.table()[game].linear for game, (mean, _) in scores.items())
        return [
            page.Section(
                'Figure 3',
                figure_3.figure_3(scores)
                + page.paragraph(
                    f'Of {len(scores)} games measured here, {at_level} have more than '
                    f'{figure_3.HUMAN_LEVEL_PERCENT:g} % of the human score (paper: 29 of 49), and '
                    f'{ahead} a higher one than the best linear learner (paper: 43 of 49).'
                ),
            )
        ]


def measured(found: dict[str, dict]) -> dict[str, tuple[float, float | None]]:
    """Mean and standard deviation of the score of every game of the table.

    Args:
      found: results by the experiments' names. The standard deviation is that over episodes or,
        of several seeds, over these.

    Raises:
      ValueError: two experiments are of one game.
    """
    scores: dict[str, tuple[float, float | None]] = {}
    for name, result in found.items():
        game, score = result.get('game'), result.get('score')
        if game not in games.table() or score is None:
            continue
        if game in scores:
            raise ValueError(
                f'{name} is a second experiment of the game {game}; Figure 3 has one '
                'score for each.'
            )
        scores[game] = (
            (score['mean'], score['std'])
            if isinstance(score, dict)
            else (score, result.get('score_std'))
        )
    return scores
