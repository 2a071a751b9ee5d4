"""Match R-CNN learns: garments of identities that it has not seen are found, outlined, have
landmarks, and are found again in shops, by the small file made smaller.

About two minutes and a half of one core's time. What the file itself reaches is in its head.
"""

import os

import gin
import numpy as np
import tensorflow as tf

from official.core import config, gin_source, runner

FILE = os.path.join(gin_source.ROOT, 'gin_configs/match_rcnn/garments.gin')
# Images of 128 x 96 pixels, 120 identities, networks of fewer channels and layers.
SMALLER = (
    'MatchExperiment.train_steps=300',
    'MatchExperiment.save_every_steps=300',
    'MatchExperiment.monitor_split=None',
    'MatchEvaluation.raw_pixels=False',
    'WarmupThenSteps.learning_rate=0.003',
    'WarmupThenSteps.warmup_steps=20',
    'WarmupThenSteps.decay_steps=(225, 275)',
    'MatchData.batch_size=16',
    'MatchRCNN.loss_weights=(1.0, 1.0, 1.0, 3.0, 5.0, 1.0)',
    "GarmentSource.num_identities={'train': 120, 'validation': 20}",
    'GarmentSource.users=2',
    'GarmentSource.shops=2',
    'GarmentSource.size=(128, 96)',
    'MatchData.canvas=(128, 96)',
    'MatchData.min_size=96',
    'MatchData.max_size=128',
    'MatchRCNN.canonical_size=64',
    'RPN.anchor_sizes=(12, 24, 40, 64, 96)',
    'RPN.train_candidates=100',
    'RPN.train_proposals=60',
    'RPN.candidates=100',
    'RPN.proposals=50',
    'ResNet.blocks=(1, 1, 1, 1)',
    'ResNet.width=24',
    'FPN.filters=32',
    'BoxStream.units=64',
    'MaskStream.width=24',
    'MaskStream.convs=2',
    'MaskStream.size=7',
    'LandmarkStream.width=32',
    'LandmarkStream.convs=3',
    'LandmarkStream.size=7',
    'MatchingNetwork.widths=(32, 32, 32, 64)',
    'MatchingNetwork.units=64',
)
# Between chance and the lowest of these runs. Masks of other items gain 0, those of another class
# lose what the class gains; of boxes an untrained network has .004.
#   seed, threads        mask_gain  class_gain  landmark_share  ranking  box_ap50
#   untrained, 0              -.013        .039            .025     .503
#   untrained, 1               .004        .011            .020     .477
#   0, one                     .065        .046            .597     .654      .067
#   0, two                     .065        .046            .575     .691      .063
#   1, one                     .066        .058            .594     .688      .097
#   1, two, no AVX-512         .064        .039            .579     .678      .073
FLOORS = {
    'mask_gain': 0.03,
    'class_gain': 0.02,
    'landmark_share': 0.3,
    'ranking': 0.58,
    'box_ap50': 0.03,
}


def _of_truth(model, data):
    """What the model says of the ground truth's boxes, over the validation images.

    Returns:
      mask_gain: mean IoU of the masks with the true ones, less that of the masks of other items.
      class_gain: the same, less that of the masks of another class.
      landmark_share: share of the visible landmarks that are found within a tenth of the box.
      ranking: probability that a shop's item of the same garment is nearer to a consumer's than
        one of another; 0.5 is chance.
    """

    @tf.function
    def describe(batch):
        given = batch['images'], batch['sizes'], batch['boxes']
        real = tf.cast(batch['classes'] > 0, tf.int32)
        other = model.describe(*given, ((batch['classes'] + 5) % 13 + 1) * real)
        return model.describe(*given, batch['classes']) | {'other_masks': other['masks']}

    table, rows = data.table('validation'), []
    for batch in data.evaluation('validation'):
        real = (batch['classes'].numpy() > 0) & (batch['weights'].numpy()[:, np.newaxis] > 0)
        found = {f'found_{name}': values for name, values in describe(batch).items()}
        names = 'boxes', 'landmarks', 'masks', 'pair_ids', 'styles'
        rows.append(
            {
                name: values.numpy()[real]
                for name, values in (found | {name: batch[name] for name in names}).items()
            }
            | {'sources': table.sources[batch['index'].numpy()[np.nonzero(real)[0]]]}
        )
    items = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    size = items['found_masks'].shape[1]
    cells = items['masks'].shape[1] // size
    truth = items['masks'].reshape(-1, size, cells, size, cells).mean((2, 4)) > 0.5

    def overlap(masks):
        masks = masks > 0.5
        return ((masks & truth).sum((1, 2)) / (masks | truth).sum((1, 2))).mean()

    own = overlap(items['found_masks'])
    sides = items['boxes'][:, 2:] - items['boxes'][:, :2]
    distances = np.linalg.norm(
        items['landmarks'][..., :2] - items['found_landmarks'][..., :2], axis=-1
    )
    distances /= np.sqrt(sides.prod(1))[:, np.newaxis]
    visible = items['landmarks'][..., 2] == 2

    weights = model.matching_network.distance_weights.numpy()
    shop, vectors = items['sources'] == 2, items['found_embeddings']
    ranks = []
    for item in np.flatnonzero((items['sources'] == 1) & (items['styles'] > 0)):
        scores = (vectors[item] - vectors[shop]) ** 2 @ weights
        same = (
            (items['pair_ids'] == items['pair_ids'][item])
            & (items['styles'] == items['styles'][item])
        )[shop]
        if same.any():
            ranks.append((scores[same][:, np.newaxis] > scores[~same]).mean())
    return {
        'mask_gain': own - overlap(np.roll(items['found_masks'], 1, 0)),
        'class_gain': own - overlap(items['found_other_masks']),
        'landmark_share': (distances[visible] < 0.1).mean(),
        'ranking': np.mean(ranks),
    }


def test_unseen_garments_are_found(tmp_path):
    config.load(config.read(FILE, SMALLER))
    try:
        run = gin.get_configurable(runner.Run)()
        experiment = run.experiment(
            run_dir=str(tmp_path / 'run'),
            seed=0,
            data_dir=str(tmp_path / 'garments'),
            strategy=None,
        )
        untrained = _of_truth(experiment.model, experiment.data)
        experiment.train()
        trained = _of_truth(experiment.model, experiment.data)
        trained['box_ap50'] = experiment.evaluate()['validation_box_ap50']
    finally:
        config.clear()
    for name, floor in FLOORS.items():
        assert trained[name] > floor, name
    # What has learnt nothing stays below; its classes' masks differ by chance.
    for name in ('mask_gain', 'landmark_share', 'ranking'):
        assert untrained[name] < FLOORS[name], name
