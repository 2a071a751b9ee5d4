"""Match R-CNN's gin files: the paper's settings and figures; those for two cores construct."""

import fractions
import functools
import glob
import json
import os

import gin
import numpy as np
import pytest
import tensorflow as tf

from official import launch, listing
from official.compat import keras_private
from official.core import config, gin_source
from official.modeling import optimizers
from research.match_rcnn import model as model_lib
from research.match_rcnn import published

# A file that this test names, so that its folder comes along: gin_configs/match_rcnn/garments.gin
FOLDER = os.path.join(gin_source.ROOT, 'gin_configs', 'match_rcnn')
PATHS = {os.path.basename(path)[:-4]: path for path in glob.glob(os.path.join(FOLDER, '*.gin'))}
NAMES = sorted(name for name in PATHS if not name.startswith('_'))

# Table 5's choices, as the files are named: those at the paper's size, those for two cores.
FEATURES = {features.replace('+', '_'): features for features in published.FEATURES}
TABLE_5 = {f'table5_{name}_1x': features for name, features in FEATURES.items()}
GARMENTS = {
    f'garments_{name}'.replace('garments_pose_class', 'garments'): features
    for name, features in FEATURES.items()
}
# How many times as long as 1x.
STRETCH = {
    **dict.fromkeys(TABLE_5, 1),
    'table2_detection_2x': 2,
    'table3_landmarks_s1x': fractions.Fraction('1.44'),
}
PAPER = sorted(STRETCH)
PHOTOGRAPHS = ('pose_overfit', 'tinycoco_overfit')
SMALL = sorted([*GARMENTS, *PHOTOGRAPHS])
NOT_BOUND = object()


@functools.cache
def source(name):
    return gin_source.read(PATHS[name])


def bound(name, key):
    """The value a file binds to `Class.parameter`, or NOT_BOUND."""
    values = [
        b.value
        for full, b in source(name).bindings.items()
        if full.endswith(f'.{key}') and not b.scope
    ]
    return values[0] if values else NOT_BOUND


@pytest.fixture(name='loaded')
def make_loaded():
    """Loads a file as the launcher does, and forgets it."""
    yield lambda name, *params: config.load(config.read(PATHS[name], params))
    config.clear()
    tf.keras.backend.clear_session()


def test_every_file_is_known():
    assert set(NAMES) == {*PAPER, *GARMENTS, *PHOTOGRAPHS}
    assert set(PATHS) - set(NAMES) == {'_deepfashion2', '_garments', '_photographs', '_table5'}
    listed = {
        os.path.basename(path)[:-4]
        for path, _ in listing.entries(listing.pathlib.Path(gin_source.ROOT))
        if path.startswith('gin_configs/match_rcnn/')
    }
    assert listed == set(NAMES)


@pytest.mark.parametrize('name', NAMES)
def test_names_what_there_is(name, loaded):
    """Every module, class and parameter exists, and none lacks a value."""
    loaded(name)


@pytest.mark.parametrize('name', TABLE_5)
def test_purpose_names_the_features(name):
    purpose = listing.purpose(PATHS[name])
    assert f'features of {TABLE_5[name].replace("+", " and ")}, schedule 1x' in purpose


@pytest.mark.parametrize('name', PAPER)
def test_schedule_is_the_papers(name, loaded):
    """8, 11 and 12 epochs of 391 000 images, 16 a step, times 2 or 1.44; Sec. 3."""
    an_epoch = fractions.Fraction(391_000, 16) * STRETCH[name]
    first, second = int(8 * an_epoch), int(11 * an_epoch)
    loaded(name)
    optimizer = gin.get_configurable(optimizers.MomentumSGD)()
    rate = keras_private.learning_rate(
        optimizer
    )  # The property would be the rate of the first step.
    rates = [float(rate(step)) for step in (500, first - 1, first, second - 1, second)]
    assert rates == pytest.approx([0.02, 0.02, 0.002, 0.002, 0.0002])
    assert 0 < float(rate(1)) < float(rate(250)) < 0.02


# Every binding of the files at the paper's settings but titles and figures, which have tests of
# their own. Of Sec. 3, "Implementations": the optimizer, its rate, the images and the batch. The
# rest is this project's and stated in the heads and the card.
SHARED = {
    'Run.experiment': '@research.match_rcnn.experiment.MatchExperiment',
    'Run.num_seeds': 1,
    'MatchExperiment.model': '@research.match_rcnn.model.MatchRCNN',
    'MatchExperiment.optimizer': '@official.modeling.optimizers.MomentumSGD',  # "SGD"
    'MatchExperiment.data': '@research.match_rcnn.data.MatchData',
    'MatchExperiment.save_every_steps': 5000,
    'MatchExperiment.split': 'validation',  # Sec. 4: "evaluated in the validation set".
    'MatchExperiment.monitor_split': 'validation',
    'MatchExperiment.evaluator': '@research.match_rcnn.measurement.MatchEvaluation()',
    'MatchExperiment.signatures': '@research.match_rcnn.export.signatures',
    'MatchExperiment.reporter': '@research.match_rcnn.report.MatchReport()',
    'MatchEvaluation.raw_pixels': False,
    'MomentumSGD.learning_rate': '@official.modeling.schedules.WarmupThenSteps()',
    'MomentumSGD.momentum': 0.9,
    'MomentumSGD.weight_decay': 1e-5,
    'WarmupThenSteps.learning_rate': 0.02,
    'WarmupThenSteps.warmup_steps': 500,
    'MatchData.source': '@research.match_rcnn.sources.FolderSource',
    'MatchData.batch_size': 16,  # "two images in a GPU and 8 GPUs"
    'MatchData.canvas': (1344, 1344),
    'MatchData.min_size': 800,
    'MatchData.max_size': 1333,
    'MatchData.evaluation_batch': 16,
    'MatchRCNN.backbone': '@official.vision.resnet.ResNet',  # "ResNet50"
    'MatchRCNN.backbone_weights': 'resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5',
    'MatchRCNN.loss_weights': (1.0,) * 6,
    'ResNet.frozen': True,
    'ResNet.freeze_stages': 2,
}
RETRIEVAL = {
    'MatchData.pairs': True,
    'MatchRCNN.pair_sampler': '@research.match_rcnn.pair_sampling.PairSampler()',
    'PairSampler.user_rois': 8,
    'PairSampler.shop_rois': 1,
}
# Tables 2 and 4 are of boxes and masks, Table 3 of landmarks, Table 5 of all.
OWN = {
    'table2_detection_2x': {'MatchRCNN.landmark_stream': None, 'MatchRCNN.matching_network': None},
    'table3_landmarks_s1x': {'MatchRCNN.mask_stream': None, 'MatchRCNN.matching_network': None},
    **{
        name: {**RETRIEVAL, 'MatchRCNN.match_features': tuple(features.split('+'))}
        for name, features in TABLE_5.items()
    },
}


def _plain(value):
    """A reference by the whole name of what it stands for."""
    if isinstance(value, gin_source.Reference):
        assert not value.scopes
        return f'@{value.full}{"()" if value.evaluate else ""}'
    return value


@pytest.mark.parametrize('name', PAPER)
def test_every_binding(name):
    """All of the file and of what it includes, no more and no less."""
    # An epoch is of 391 000 images, 16 a step.
    epoch = fractions.Fraction(391_000, 16) * STRETCH[name]
    expected = (
        SHARED
        | OWN[name]
        | {
            'MatchExperiment.train_steps': int(12 * epoch),
            'WarmupThenSteps.decay_steps': (int(8 * epoch), int(11 * epoch)),
        }
    )
    found = {
        '.'.join(full.split('.')[-2:]): _plain(binding.value)
        for full, binding in source(name).bindings.items()
    }
    assert len(found) == len(source(name).bindings)
    for own in ('MatchExperiment.title', 'MatchExperiment.reference', 'reference.table'):
        del found[own]
    assert found == expected
    # The canvas holds both a portrait and a landscape, and every level of the pyramid divides it.
    assert all(1333 <= side < 1333 + 64 and side % 64 == 0 for side in found['MatchData.canvas'])


def test_parts_of_the_small_files():
    """On garments everything, on photographs what their annotations have."""
    parts = ('landmark_stream', 'mask_stream', 'matching_network')
    left_out = {
        name: {part for part in parts if bound(name, f'MatchRCNN.{part}') is None} for name in SMALL
    }
    assert left_out == {
        **{name: set() for name in GARMENTS},
        'tinycoco_overfit': {'landmark_stream', 'matching_network'},
        'pose_overfit': {'matching_network'},
    }
    for name, features in GARMENTS.items():
        assert bound(name, 'MatchRCNN.match_features') == tuple(features.split('+'))
        assert bound(name, 'MatchData.pairs') is True
        assert bound(name, 'MatchData.source').full == 'research.match_rcnn.sources.GarmentSource'
    for name in PHOTOGRAPHS:
        assert bound(name, 'MatchData.source').full == 'research.match_rcnn.sources.CocoSource'
        number = bound(name, 'CocoSource.num_images')
        assert f'learns {number} photographs of COCO by heart' in source(name).head[0]


# All columns "overall" of Tables 2, 4, 3 and 5 (top-1, top-10, top-20), written from the paper.
OVERALL = {
    'table2_detection_2x': {
        'box': (0.667, 0.814, 0.773),
        'mask': (0.680, 0.873, 0.812),
    },
    'table3_landmarks_s1x': {
        'landmarks_visible': (0.641, 0.820, 0.728),
        'landmarks': (0.563, 0.805, 0.641),
    },
    'table5_class_1x': {'truth': (0.122, 0.363, 0.464), 'detected': (0.104, 0.321, 0.417)},
    'table5_pose_1x': {'truth': (0.255, 0.555, 0.647), 'detected': (0.234, 0.495, 0.589)},
    'table5_mask_1x': {'truth': (0.187, 0.471, 0.573), 'detected': (0.175, 0.421, 0.529)},
    'table5_pose_class_1x': {'truth': (0.268, 0.574, 0.665), 'detected': (0.244, 0.522, 0.617)},
    'table5_mask_class_1x': {'truth': (0.214, 0.510, 0.607), 'detected': (0.200, 0.463, 0.564)},
}


@pytest.mark.parametrize('name', PAPER)
def test_reference_is_the_papers(name, loaded):
    """All overall figures; under the names of a result, as the report compares them."""
    loaded(name)
    reference = gin.query_parameter('experiment.MatchExperiment.reference').scoped_configurable_fn()
    five = name.startswith('table5')
    assert reference.pop('cell') == (
        'Table 5, all queries'
        if five
        else 'Tables 2 and 4, overall'
        if name.startswith('table2')
        else 'Table 3, overall'
    )
    ends = ('top1', 'top10', 'top20') if five else ('ap', 'ap50', 'ap75')
    assert reference == {
        f'validation_{"retrieval_" * five}{part}_{end}': figure
        for part, figures in OVERALL[name].items()
        for end, figure in zip(ends, figures, strict=True)
    }


def test_no_other_file_claims_a_figure():
    assert {
        name for name in NAMES if bound(name, 'MatchExperiment.reference') is not NOT_BOUND
    } == set(PAPER)


# One file of each part that the others include; what these add has been compared above.
BUILT = [
    'table2_detection_2x',
    'table3_landmarks_s1x',
    'table5_pose_class_1x',
    'garments',
    *PHOTOGRAPHS,
]


@pytest.mark.parametrize('name', BUILT)
def test_model_constructs(name, loaded):
    params = ['MatchRCNN.backbone_weights=None'] if name in PAPER else []
    loaded(name, *params)
    model = gin.get_configurable(model_lib.MatchRCNN)(seed=1)
    # ResNet-50 has 25.5 million weights, 2 of them in the classifier that is left out.
    assert sum(np.prod(v.shape) for v in model.backbone.variables) > (
        23e6 if name in PAPER else 5e5
    )
    features = {**TABLE_5, **GARMENTS}.get(name)
    assert model.match_features == (tuple(features.split('+')) if features else ())
    classes, landmarks = {'tinycoco_overfit': (80, None), 'pose_overfit': (1, 17)}.get(
        name, (13, 294)
    )
    assert model.num_classes == classes
    if name == 'table2_detection_2x':
        landmarks = None
    assert (model.landmark_stream and sum(model.landmark_counts)) == landmarks
    if name in PAPER:
        _check_full_size(model)


def _check_full_size(model):
    """What the paper says, and the numbers of Detectron where it says nothing."""
    sampler, pairs, rpn = model.sampler, model.pair_sampler, model.rpn
    # "An ROI is considered positive if its IoU ... is larger than 0.5"; for retrieval 0.7.
    assert (sampler.number, sampler.positives, sampler.threshold) == (512, 128, 0.5)
    assert pairs.threshold == 0.7
    # "8 image pairs x 8 proposals": 64 of consumers by 8 of shops.
    assert (8 * pairs.user_rois, 8 * pairs.shop_rois) == (64, 8)
    # "Anchors with 3 aspect ratios on each level"; "the top 1000 proposals".
    assert rpn.aspect_ratios == (0.5, 1.0, 2.0) and rpn.anchor_sizes == (32, 64, 128, 256, 512)
    assert rpn._limits == {True: (2000, 2000), False: (1000, 1000)}
    assert (
        rpn.number,
        rpn.positive_fraction,
        rpn.positive_iou,
        rpn.negative_iou,
        rpn.nms_threshold,
    ) == (256, 0.5, 0.7, 0.3, 0.7)
    # "8 'conv' layers and 2 'deconv' layers"; "4 'conv' layers, 1 'deconv' layer".
    landmarks, masks, matcher = model.landmark_stream, model.mask_stream, model.matching_network
    assert landmarks is None or (
        landmarks.size,
        landmarks.width,
        len(landmarks.convs),
        landmarks.bilinear,
    ) == (14, 512, 8, False)
    assert masks is None or (masks.size, masks.width, len(masks.convs)) == (14, 256, 4)
    assert matcher is None or ([conv.kernel.shape[3] for conv in matcher.convs], matcher.units) == (
        [256, 256, 256, 1024],
        256,
    )
    assert (model.box_stream.size, len(model.box_stream.hidden)) == (7, 2)
    assert model.pyramid.filters == 256 and model.canonical_size == 224
    selection = model.selection
    assert (
        selection.max_detections,
        selection.score_threshold,
        selection.nms_threshold,
        selection.candidates,
    ) == (20, 0.05, 0.5, 1000)
    # The stem and C2 are not trained, nor is any batch norm.
    assert [len(stage) for stage in model.backbone.stages] == [3, 4, 6, 3]
    trained = model.backbone.trainable_variables
    assert len(trained) == 42 and all(v.shape.rank == 4 for v in trained)


def _launched(name, run_dir, data_dir, *params):
    """The result of two steps at 64 x 48 pixels through the launcher, with all its files."""
    params += (
        'MatchExperiment.train_steps=2',
        'MatchExperiment.save_every_steps=2',
        'MatchExperiment.steps_per_execution=1',
        'MatchExperiment.monitor_split=None',
        'MatchData.canvas=(64, 64)',
        'MatchData.min_size=48',
        'MatchData.max_size=64',
        'MatchData.batch_size=2',
        'MatchData.evaluation_batch=4',
        'Selection.score_threshold=0.0',
        'WarmupThenSteps.warmup_steps=0',
        'ResNet.blocks=(1, 1, 1, 1)',
        'ResNet.width=8',
        'FPN.filters=8',
        'RPN.train_candidates=30',
        'RPN.train_proposals=20',
        'RPN.candidates=20',
        'RPN.proposals=10',
        'BoxStream.units=8',
        'MaskStream.width=8',
        'LandmarkStream.width=8',
    )
    try:
        result = launch.launch(PATHS[name], params, model_dir=str(run_dir), data_dir=str(data_dir))
    finally:
        config.clear()
        tf.keras.backend.clear_session()
    assert result['step'] == 2
    assert (run_dir / 'saved_model' / 'saved_model.pb').exists()
    return result, (run_dir / 'report.html').read_text()


def test_garments_run_through_the_launcher(tmp_path):
    """On a few that are drawn, with the features of mask and class."""
    result, report = _launched(
        'garments_mask_class',
        tmp_path / 'run',
        tmp_path / 'garments',
        "GarmentSource.num_identities={'train': 3, 'validation': 2}",
        'GarmentSource.users=2',
        'GarmentSource.shops=2',
        'GarmentSource.size=(96, 72)',
        'MatchingNetwork.widths=(8, 8, 8, 8)',
        'MatchingNetwork.units=8',
    )
    assert len(result['class_names']) == 13
    assert {
        'validation_box_ap',
        'validation_mask_ap',
        'validation_landmarks_ap',
        'validation_retrieval_truth_top20',
    } <= result.keys()
    assert 'mask+class, detected box' in report


def _people(folder):
    """Two photographs in COCO's format with a person of 17 keypoints each, and a crowd."""
    (folder / 'images' / 'train2017').mkdir(parents=True)
    (folder / 'annotations').mkdir()
    corners = [10, 5, 30, 5, 30, 40, 10, 40]
    person = {
        'category_id': 1,
        'bbox': [10, 5, 20, 35],
        'area': 700,
        'iscrowd': 0,
        'segmentation': [corners],
        'keypoints': [20, 20, 2] * 16 + [0, 0, 0],
        'num_keypoints': 16,
    }
    crowd = {
        'id': 9,
        'image_id': 2,
        'category_id': 1,
        'bbox': [40, 0, 8, 40],
        'area': 320,
        'iscrowd': 1,
        'segmentation': {'size': [40, 60], 'counts': [1600, 320, 480]},
        'keypoints': [0] * 51,
        'num_keypoints': 0,
    }
    for number in (1, 2):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 60, 3)).astype(np.uint8)
        path = folder / 'images' / 'train2017' / f'{number}.jpg'
        path.write_bytes(tf.io.encode_jpeg(pixels).numpy())
    content = {
        'images': [
            {'id': number, 'file_name': f'{number}.jpg', 'height': 40, 'width': 60}
            for number in (1, 2)
        ],
        'annotations': [person | {'id': number, 'image_id': number} for number in (1, 2)] + [crowd],
        'categories': [{'id': 1, 'name': 'person', 'keypoints': [f'k{i}' for i in range(17)]}],
    }
    (folder / 'annotations' / 'person_keypoints_train2017.json').write_text(json.dumps(content))


def test_photographs_run_through_the_launcher(tmp_path):
    """Boxes, masks and keypoints of people; what the garments' tables have is not there."""
    _people(tmp_path / 'people')
    result, report = _launched('pose_overfit', tmp_path / 'run', tmp_path / 'people')
    assert result['class_names'] == ['person']
    assert {'validation_box_ap', 'validation_mask_ap', 'validation_landmarks_ap'} <= result.keys()
    assert not any('retrieval' in name for name in result) and 'Table 5' not in report
