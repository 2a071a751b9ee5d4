"""Match R-CNN's gin files: the paper's settings and figures; those for two cores construct."""

import fractions
import functools
import glob
import json
import os
import sys

import gin
import numpy as np
import pytest
import tensorflow as tf

from official import launch
from official.core import config
from official.core import gin_source
from official.modeling import optimizers
from research.match_rcnn import model as model_lib
from research.match_rcnn import published
from tools import listing

# A file that this test names, so that its folder comes along: gin_configs/match_rcnn/garments.gin
FOLDER = os.path.join(gin_source.ROOT, 'gin_configs', 'match_rcnn')
PATHS = {os.path.basename(path)[:-4]: path for path in glob.glob(os.path.join(FOLDER, '*.gin'))}
NAMES = sorted(name for name in PATHS if not name.startswith('_'))

# Table 5's choices, as the files are named: those at the paper's size, those for two cores.
FEATURES = {features.replace('+', '_'): features for features in published.FEATURES}
TABLE_5 = {f'table5_{name}_1x': features for name, features in FEATURES.items()}
GARMENTS = {f'garments_{name}'.replace('garments_pose_class', 'garments'): features
            for name, features in FEATURES.items()}
# How many times as long as 1x.
STRETCH = {**dict.fromkeys(TABLE_5, 1), 'table2_detection_2x': 2,
           'table3_landmarks_s1x': fractions.Fraction('1.44')}
PAPER = sorted(STRETCH)
PHOTOGRAPHS = ('pose_overfit', 'tinycoco_overfit')
SMALL = sorted([*GARMENTS, *PHOTOGRAPHS])
NOT_BOUND = object()


@functools.cache
def source(name):
    return gin_source.read(PATHS[name])


def bound(name, key):
    """The value a file binds to `Class.parameter`, or NOT_BOUND."""
    values = [b.value for full, b in source(name).bindings.items()
              if full.endswith(f'.{key}') and not b.scope]
    return values[0] if values else NOT_BOUND


@pytest.fixture(name='loaded')
def make_loaded():
    """Loads a file as the launcher does, and forgets it."""
    yield lambda name, *params: config.load(config.read(PATHS[name], params))
    config.clear()
    tf.keras.backend.clear_session()


def test_every_file_is_known():
    assert set(NAMES) == {*PAPER, *GARMENTS, *PHOTOGRAPHS, 'search'}
    assert set(PATHS) - set(NAMES) == {'_deepfashion2', '_garments', '_photographs'}
    listed = {os.path.basename(path)[:-4] for path, _ in listing.entries(
        listing.pathlib.Path(gin_source.ROOT)) if path.startswith('gin_configs/match_rcnn/')}
    assert listed == set(NAMES)


@pytest.mark.parametrize('name', NAMES)
def test_names_what_there_is(name, loaded):
    """Every module, class and parameter exists, and none lacks a value."""
    loaded(name)


@pytest.mark.parametrize('name', NAMES)
def test_head(name):
    head = source(name).head
    purpose = listing.purpose(PATHS[name])
    assert head[0] == f'# {purpose}' and purpose.endswith('.')
    assert all(len(line) <= 100 for line in head)
    text = '\n'.join(head)
    assert f'# Command: ./garden train --gin_file=gin_configs/match_rcnn/{name}.gin' in text
    assert ('--data_dir=' in text) == (name not in GARMENTS)  # Those are drawn.
    for word in ('# Paper: ', 'Ge et al. 2019', '# Hardware: ', '# Time: ', '# Result: '):
        assert word in text
    if name in TABLE_5:
        assert f'features of {TABLE_5[name].replace("+", " and ")}, schedule 1x' in purpose


@pytest.mark.parametrize('name', PAPER)
def test_schedule_is_the_papers(name, loaded):
    """8, 11 and 12 epochs of 391 000 images, 16 a step, times 2 or 1.44; Sec. 3."""
    an_epoch = fractions.Fraction(391_000, 16) * STRETCH[name]
    assert bound(name, 'MatchExperiment.train_steps') == int(12 * an_epoch)
    first, second = int(8 * an_epoch), int(11 * an_epoch)
    loaded(name)
    optimizer = gin.get_configurable(optimizers.MomentumSGD)()
    rate = optimizer._learning_rate  # The property would be the rate of the first step.
    rates = [float(rate(step)) for step in (500, first - 1, first, second - 1, second)]
    assert rates == pytest.approx([.02, .02, .002, .002, .0002])
    assert 0 < float(rate(1)) < float(rate(250)) < .02
    assert optimizer.momentum == 0.9 and bound(name, 'MomentumSGD.weight_decay') == 1e-5


@pytest.mark.parametrize('name', PAPER)
def test_images_are_the_papers(name):
    found = {key: bound(name, f'MatchData.{key}') for key in ('min_size', 'max_size', 'batch_size')}
    assert found == {'min_size': 800, 'max_size': 1333, 'batch_size': 16}
    # The canvas holds both a portrait and a landscape, and every level of the pyramid divides it.
    assert all(1333 <= side < 1333 + 64 and side % 64 == 0
               for side in bound(name, 'MatchData.canvas'))
    assert bound(name, 'MatchExperiment.split') == 'validation'
    assert bound(name, 'MatchData.source').full == 'research.match_rcnn.sources.FolderSource'


def test_parts_are_those_of_the_tables():
    """Tables 2 and 4 are of boxes and masks, Table 3 of landmarks, Table 5 of all."""
    parts = ('landmark_stream', 'mask_stream', 'matching_network')
    left_out = {name: {part for part in parts if bound(name, f'MatchRCNN.{part}') is None}
                for name in (*PAPER, *SMALL)}
    assert left_out == {
        **{name: set() for name in (*TABLE_5, *GARMENTS)},
        'table2_detection_2x': {'landmark_stream', 'matching_network'},
        'table3_landmarks_s1x': {'mask_stream', 'matching_network'},
        'tinycoco_overfit': {'landmark_stream', 'matching_network'},
        'pose_overfit': {'matching_network'}}
    for name, features in {**TABLE_5, **GARMENTS}.items():
        assert bound(name, 'MatchRCNN.match_features') == tuple(features.split('+'))
        assert bound(name, 'MatchData.pairs') is True
    for name in TABLE_5:
        # "8 image pairs x 8 proposals": 64 of consumers by 8 of shops.
        rois = [bound(name, f'PairSampler.{key}') for key in ('user_rois', 'shop_rois')]
        assert [8 * number for number in rois] == [64, 8]


def _flat(name, table):
    return {f'validation_{name}_{metric.lower()}': row['overall'] for metric, row in table.items()}


@pytest.mark.parametrize('name', PAPER)
def test_reference_is_the_papers(name):
    """All overall figures; under the names of a result, as the report compares them."""
    reference = dict(bound(name, 'MatchExperiment.reference'))
    cell, head = reference.pop('cell'), '\n'.join(source(name).head)
    if name in TABLE_5:
        figures = published.RETRIEVAL[TABLE_5[name]]
        assert cell == 'Table 5, all queries'
        assert reference == {
            f'validation_retrieval_{boxes}_{k}': figures[boxes][k]
            for boxes in ('detected', 'truth') for k in published.TOP}
        assert (f'# Paper: Ge et al. 2019, Table 5: top-20 {figures["detected"]["top20"]:.3f} with '
                f'detected boxes, {figures["truth"]["top20"]:.3f} with ground truth.') in head
    elif name == 'table2_detection_2x':
        assert cell == 'Tables 2 and 4, overall'
        assert reference == _flat('box', published.BOX) | _flat('mask', published.MASK)
        assert 'AP box 0.667, AP mask 0.680 (overall)' in head
    else:
        assert cell == 'Table 3, overall'
        assert reference == (_flat('landmarks_visible', published.LANDMARKS_VISIBLE)
                             | _flat('landmarks', published.LANDMARKS))
        assert 'visible landmarks 0.641, of visible and occluded ones 0.563' in head


def test_no_other_file_claims_a_figure():
    assert {name for name in NAMES
            if bound(name, 'MatchExperiment.reference') is not NOT_BOUND} == set(PAPER)


@pytest.mark.parametrize('name', [*PAPER, *SMALL])
def test_model_constructs(name, loaded):
    params = ['MatchRCNN.backbone_weights=None'] if name in PAPER else []
    loaded(name, *params)
    model = gin.get_configurable(model_lib.MatchRCNN)(seed=1)
    # ResNet-50 has 25.5 million weights, 2 of them in the classifier that is left out.
    assert sum(np.prod(v.shape) for v in model.backbone.variables) > (
        23e6 if name in PAPER else 5e5)
    features = {**TABLE_5, **GARMENTS}.get(name)
    assert model.match_features == (tuple(features.split('+')) if features else ())
    classes, landmarks = {'tinycoco_overfit': (80, None), 'pose_overfit': (1, 17)}.get(
        name, (13, 294))
    assert model.num_classes == classes
    if name == 'table2_detection_2x':
        landmarks = None
    assert (model.landmark_stream and sum(model.landmark_counts)) == landmarks
    if name in PAPER:
        _check_full_size(model)


def _check_full_size(model):
    """What the paper says, and the numbers of Detectron where it says nothing."""
    sampler, streams = model.sampler, (model.landmark_stream, model.mask_stream)
    assert (sampler.number, sampler.positives, sampler.threshold) == (512, 128, 0.5)
    assert model.pair_sampler.threshold == 0.7 and tuple(model.loss_weights) == (1,) * 6
    assert [stream and (stream.size, stream.width, len(stream.convs)) for stream in streams] == [
        streams[0] and (14, 512, 8), streams[1] and (14, 256, 4)]
    assert model.rpn.anchor_sizes == (32, 64, 128, 256, 512)
    assert model.pyramid.filters == 256 and model.selection.max_detections == 20
    # The stem and C2 are not trained, nor is any batch norm.
    trained = model.backbone.trainable_variables
    assert len(trained) == 42 and all(v.shape.rank == 4 for v in trained)


def _launched(name, run_dir, data_dir, *params):
    """The result of two steps at 64 x 48 pixels through the launcher, with all its files."""
    params += (
        'MatchExperiment.train_steps=2', 'MatchExperiment.save_every_steps=2',
        'MatchExperiment.steps_per_execution=1', 'MatchExperiment.monitor_split=None',
        'MatchData.canvas=(64, 64)', 'MatchData.min_size=48', 'MatchData.max_size=64',
        'MatchData.batch_size=2', 'MatchData.evaluation_batch=4', 'Selection.score_threshold=0.0',
        'WarmupThenSteps.warmup_steps=0', 'ResNet.blocks=(1, 1, 1, 1)')
    try:
        result = launch.launch(
            PATHS[name], params, model_dir=str(run_dir), data_dir=str(data_dir))
    finally:
        config.clear()
        tf.keras.backend.clear_session()
    assert result['step'] == 2
    assert (run_dir / 'saved_model' / 'saved_model.pb').exists()
    return result, (run_dir / 'report.html').read_text()


def test_garments_run_through_the_launcher(tmp_path):
    """On a few that are drawn, with the features of mask and class."""
    result, report = _launched(
        'garments_mask_class', tmp_path / 'run', tmp_path / 'garments',
        "GarmentSource.num_identities={'train': 3, 'validation': 2}", 'GarmentSource.users=2',
        'GarmentSource.shops=2', 'GarmentSource.size=(96, 72)')
    assert len(result['class_names']) == 13
    assert {'validation_box_ap', 'validation_mask_ap', 'validation_landmarks_ap',
            'validation_retrieval_truth_top20'} <= result.keys()
    assert 'mask+class, detected box' in report


def _people(folder):
    """Two photographs in COCO's format with a person of 17 keypoints each, and a crowd."""
    (folder / 'images' / 'train2017').mkdir(parents=True)
    (folder / 'annotations').mkdir()
    corners = [10, 5, 30, 5, 30, 40, 10, 40]
    person = {'category_id': 1, 'bbox': [10, 5, 20, 35], 'area': 700, 'iscrowd': 0,
              'segmentation': [corners], 'keypoints': [20, 20, 2] * 16 + [0, 0, 0],
              'num_keypoints': 16}
    crowd = {'id': 9, 'image_id': 2, 'category_id': 1, 'bbox': [40, 0, 8, 40], 'area': 320,
             'iscrowd': 1, 'segmentation': {'size': [40, 60], 'counts': [1600, 320, 480]},
             'keypoints': [0] * 51, 'num_keypoints': 0}
    for number in (1, 2):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 60, 3)).astype(np.uint8)
        path = folder / 'images' / 'train2017' / f'{number}.jpg'
        path.write_bytes(tf.io.encode_jpeg(pixels).numpy())
    content = {
        'images': [{'id': number, 'file_name': f'{number}.jpg', 'height': 40, 'width': 60}
                   for number in (1, 2)],
        'annotations': [person | {'id': number, 'image_id': number} for number in (1, 2)] + [crowd],
        'categories': [{'id': 1, 'name': 'person', 'keypoints': [f'k{i}' for i in range(17)]}]}
    (folder / 'annotations' / 'person_keypoints_train2017.json').write_text(json.dumps(content))


def test_photographs_run_through_the_launcher(tmp_path):
    """Boxes, masks and keypoints of people; what the garments' tables have is not there."""
    _people(tmp_path / 'people')
    result, report = _launched('pose_overfit', tmp_path / 'run', tmp_path / 'people')
    assert result['class_names'] == ['person']
    assert {'validation_box_ap', 'validation_mask_ap', 'validation_landmarks_ap'} <= result.keys()
    assert not any('retrieval' in name for name in result) and 'Table 5' not in report


if __name__ == '__main__':
    raise SystemExit(pytest.main([__file__, *sys.argv[1:]]))
