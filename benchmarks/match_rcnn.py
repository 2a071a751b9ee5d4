"""How fast Match R-CNN trains and detects, beside tf-models' Mask R-CNN, and how far the limit is.

The network of Ge et al. 2019 without its landmarks and matching is Mask R-CNN on ResNet-50 and a
feature pyramid, which tf-models-official 2.15 has, too. Both run on the same TensorFlow with the
same images, boxes and masks, numbers of proposals, RoIs and detections; SGD with momentum, decay
and a small learning rate; initial weights; all layers trained. Aims: 1.2 times as fast with the two
more streams left out, and no slower with them.

    ./garden python benchmarks/match_rcnn.py [--rounds=3] [--only=step,forward] [--json=FILE]
        [--forms=arboretum,peer]    some of the contestants
        [--canvas=512x512]          height and width of the images, multiples of 64
        [--batch=2]                 images of a training step and of the operations
        [--truths=28]               garments of an image
        [--bfloat16]                products of both networks in bfloat16, weights in float32
        [--peer_python=PATH]        a Python that has tf-models; `none` leaves it out

The contestants take turns, each in a process of its own, one process at a time: it builds the
network, runs once, times some blocks and ends. Its number of a round is the median over the blocks.
What is timed: `step`, a training step; `forward`, the detections of one image with masks; `nms`,
suppression of the proposals of a level; `roi_align`, 7 x 7 features of all RoIs with their
gradient; `mask_align`, 14 x 14 of the positive ones; `anchors` and `rois`, the assignment of
anchors and of proposals to ground truth and their sampling.

An untrained network proposes nothing that fits a garment, and masks, landmarks and matching are
learnt on what does. So there are as many garments in an image as a trained network has fitting
proposals: 28, counted on drawn garments with 1.8 in an image.

Where the two differ:

- Norms. tf-models has batch norms in the pyramid and all heads; this project, as the paper, in the
  backbone alone, where they are frozen. So tf-models runs as it comes, beside this project with
  norms that learn, and with all its norms frozen. A ratio is of two of a kind.
- Suppression. `NMS of TensorFlow` sets what tf-models' configuration has for it, the kernel of
  TensorFlow in place of loops of its own.
- tf-models assigns anchors in its input pipeline and normalizes images there. Here both are ready
  made for it, and a part of the step for this project; `targets made` has them in its pipeline.
- tf-models' RoIAlign takes one sample of each bin, this project four; `one sample` is alike.
- tf-models computes all masks that there is room for, this project those of positive RoIs.
- tf-models halves in the 3 x 3 convolutions, this project in the 1 x 1 convolutions before them;
  the table has the operations of each.
- Of several anchors that are equally good for a ground truth tf-models takes the first, this
  project all.
- The kernel of TensorFlow does not take what tf-models gives it in bfloat16: with `--bfloat16`
  forms with `NMS of TensorFlow` are left out.

The ratios are those of the form of tf-models with the lowest median of its kind. The floor is the
time that the convolutions and matrix products of the form alone take at their measured peak.

The environment of tf-models, 2.7 GB, is made for as long as it is needed unless --peer_python or
ARBORETUM_PEER_PYTHON names a Python that has it.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks import contest, match_rcnn_data, match_rcnn_flops

PEER = contest.Peer(
    'tf-models',
    'official.vision.tasks',
    # With what else the locked stack has, so that TensorFlow is the same.
    (
        'tf-models-official==2.15.0',
        'tensorflow==2.15.1',
        'tensorflow-datasets==4.9.10',
        'tensorflow-metadata==1.17.3',
        'importlib-resources==7.1.0',
        'protobuf==4.25.9',
        'numpy==1.26.4',
        'setuptools==80.9.0',
    ),
    'peer_python',
    'ARBORETUM_PEER_PYTHON',
)


class Form(NamedTuple):
    """A contestant.

    Attributes:
      label: in the table.
      peer: whether it is tf-models.
      kind: forms of one kind are compared.
      arguments: of its script.
    """

    label: str
    peer: bool
    kind: str
    arguments: tuple[str, ...] = ()


FORMS = {
    'arboretum': Form('Arboretum', False, 'frozen'),
    'streams': Form('Arboretum, all streams', False, 'frozen', ('--streams',)),
    'trained': Form('Arboretum, norms learn', False, 'trained', ('--norms=trained',)),
    'one_sample': Form('Arboretum, one sample', False, 'frozen', ('--samples=1',)),
    'peer': Form('tf-models as it comes', True, 'trained', ('--norms=trained',)),
    'peer_batched': Form(
        'tf-models, NMS of TensorFlow', True, 'trained', ('--norms=trained', '--nms=batched')
    ),
    'peer_frozen': Form('tf-models, norms frozen', True, 'frozen'),
    'peer_frozen_batched': Form(
        'tf-models, frozen, NMS of TensorFlow', True, 'frozen', ('--nms=batched',)
    ),
    'peer_labels': Form(
        'tf-models, the same, targets made', True, 'frozen', ('--nms=batched', '--label')
    ),
}


class Workload(NamedTuple):
    """What is timed.

    Attributes:
      label: in the table.
      forms: of FORMS, that can do it.
      repetitions: in a block.
      blocks: timed, after a first call.
      network: whether it is the network, not an operation.
    """

    label: str
    forms: tuple[str, ...]
    repetitions: int
    blocks: int
    network: bool = False


# Norms frozen or not make no difference to detections and operations.
_TWO = ('arboretum', 'peer_frozen')
WORKLOADS = {
    'step': Workload(
        'training step', tuple(form for form in FORMS if form != 'one_sample'), 1, 3, True
    ),
    'forward': Workload(
        'detections', ('arboretum', 'streams', 'peer_frozen', 'peer_frozen_batched'), 2, 3, True
    ),
    'nms': Workload('suppression', (*_TWO, 'peer_frozen_batched'), 20, 3),
    'roi_align': Workload('RoIAlign, 7 x 7', (*_TWO, 'one_sample'), 5, 3),
    'mask_align': Workload('RoIAlign, 14 x 14', (*_TWO, 'one_sample'), 5, 3),
    'anchors': Workload('assignment of anchors', _TWO, 20, 3),
    'rois': Workload('assignment of proposals', _TWO, 20, 3),
}


# Arithmetic.


def summary(
    name: str,
    config: match_rcnn_data.Config,
    runs: Mapping[str, Sequence[Mapping]],
    gflop_per_s: float,
) -> dict:
    """All numbers of a workload.

    Args:
      name: of WORKLOADS.
      config: the sizes.
      runs: what each worker printed in each round, by the names of FORMS.
      gflop_per_s: the peak of convolutions and matrix products.
    """
    workload = WORKLOADS[name]
    images = 1 if name == 'forward' else config.batch
    forms = {}
    for form, printed in runs.items():
        forms[form] = {
            'label': FORMS[form].label,
            'parameters': printed[0].get('parameters'),
            **contest.times(printed, images),
        }
        if workload.network:
            gflop = (
                match_rcnn_flops.flops(
                    name, config, FORMS[form].peer, form == 'streams', printed[0].get('positives')
                )
                / 1e9
            )
            floor = gflop / gflop_per_s * 1e3
            forms[form] |= {
                'gflop': gflop,
                'floor_ms': floor,
                'floor_fraction': floor / forms[form]['median_ms'],
            }
    ratios = {}
    for ours in (form for form in forms if not FORMS[form].peer):
        theirs = min(
            (form for form in forms if FORMS[form].peer and FORMS[form].kind == FORMS[ours].kind),
            key=lambda form: forms[form]['median_ms'],
            default=None,
        )
        if theirs:
            ratios[f'{theirs} over {ours}'] = contest.ratio(
                forms[theirs]['round_ms'], forms[ours]['round_ms']
            )
    return {'label': workload.label, 'images': images, 'forms': forms, 'ratios': ratios}


def table(numbers: Mapping) -> str:
    """The text of all workloads."""
    wide = max(len(form.label) for form in FORMS.values())
    texts = []
    for name, row in numbers['workloads'].items():
        head = f'{"ms":{wide}}    median    lowest   highest  images/s  peak MB'
        network = WORKLOADS[name].network
        lines = [f'{row["label"]}, images: {row["images"]}', head + '   GFLOP  floor' * network]
        for form in row['forms'].values():
            memory = '?' if form['peak_mb'] is None else f'{form["peak_mb"]:.0f}'
            work = f'  {form["gflop"]:6.0f}  {form["floor_fraction"]:5.0%}' if network else ''
            lines.append(
                f'{form["label"]:{wide}}  {form["median_ms"]:8.1f}  {form["lowest_ms"]:8.1f}  '
                f'{form["highest_ms"]:8.1f}  {form["images_per_s"]:8.3g}  {memory:>7}{work}'
            )
        for text, ratio in row['ratios'].items():
            lines.append(
                f'{text}: {ratio["median"]:.2f} ({ratio["lowest"]:.2f} to '
                f'{ratio["highest"]:.2f}; of the medians {ratio["of_medians"]:.2f})'
            )
        texts.append('\n'.join(lines))
    return '\n\n'.join(
        [
            *texts,
            f'Floor: share of the time that the products take at their peak, '
            f'{numbers["gflop_per_s"]:.0f} GFLOP/s',
        ]
    )


# Measurement.


def measure(
    names: Sequence[str],
    forms: Collection[str],
    rounds: int,
    config: match_rcnn_data.Config,
    peer_python: str | None,
    bfloat16: bool = False,
) -> dict:
    """Runs the contestants of some workloads and returns `summary` of each with the machine.

    Args:
      names: of WORKLOADS.
      forms: of FORMS.
      rounds: turns of each contestant.
      config: the sizes.
      peer_python: a Python that has tf-models, or None for this project alone.
      bfloat16: of the products of the networks.
    """
    half = ('--bfloat16',) * bfloat16
    here = pathlib.Path(__file__).parent
    facts, libraries = contest.machine(), {}
    ours = (sys.executable, str(here / 'match_rcnn_tensorflow.py'))
    # -I: nothing of this project, whose package has the same name, in that environment.
    theirs = (peer_python, '-I', str(here / 'match_rcnn_peer.py'))

    def worker(command: Sequence[str]) -> dict:
        printed = contest.run_worker(command)
        libraries.update(printed['libraries'])
        return printed

    def contestant(form: Form, *task: str) -> Callable[[], dict]:
        return lambda: worker((*(theirs if form.peer else ours), *task, *form.arguments))

    rates, runs = [], {}
    with tempfile.TemporaryDirectory(prefix='match_rcnn_') as folder:
        file = str(pathlib.Path(folder) / 'images.npz')
        np.savez(file, **match_rcnn_data.arrays(config))
        for name in names:
            print(name, file=sys.stderr, flush=True)
            workload = WORKLOADS[name]
            task = (
                name,
                file,
                f'--repetitions={workload.repetitions}',
                f'--blocks={workload.blocks}',
                *(half if workload.network else ()),
            )
            turns = {
                form: contestant(FORMS[form], *task)
                for form in workload.forms
                if form in forms
                and (peer_python or not FORMS[form].peer)
                and not (half and '--nms=batched' in FORMS[form].arguments)
            }
            runs[name] = contest.take_turns(
                turns | {'peak': lambda: worker((*ours, 'peak', *half))['gflop_per_s']}, rounds
            )
            rates += runs[name].pop('peak')
    return {
        'machine': facts | libraries,
        'settings': {'rounds': rounds, 'bfloat16': bfloat16, **config._asdict()},
        'gflop_per_s': max(rates),
        'workloads': {
            name: summary(name, config, found, max(rates)) for name, found in runs.items()
        },
    }


def _some_of(known: Mapping) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        for name in text.split(','):
            if name not in known:
                raise argparse.ArgumentTypeError(f'{name!r} is none of {", ".join(known)}')
        return text.split(',')

    return names


def _canvas(text: str) -> tuple[int, int]:
    sizes = text.split('x')
    if len(sizes) != 2 or not all(
        size.isdigit() and int(size) and int(size) % 64 == 0 for size in sizes
    ):
        raise argparse.ArgumentTypeError(f'{text!r} is not two multiples of 64, as in 832x1344')
    return int(sizes[0]), int(sizes[1])


def _batch(text: str) -> int:
    batch = contest.positive(text)
    if batch % 2:
        raise argparse.ArgumentTypeError(f'{text} is odd: images come in pairs')
    return batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--only',
        type=_some_of(WORKLOADS),
        default=list(WORKLOADS),
        help='some of ' + ','.join(WORKLOADS),
    )
    parser.add_argument(
        '--forms', type=_some_of(FORMS), default=list(FORMS), help='some of ' + ','.join(FORMS)
    )
    parser.add_argument(
        '--canvas',
        type=_canvas,
        default='832x1344',
        help='height and width of the images, multiples of 64',
    )
    parser.add_argument('--batch', type=_batch, default=2, help='images of a training step')
    parser.add_argument(
        '--truths',
        type=contest.positive,
        default=28,
        help='garments of an image, each of which is a positive RoI',
    )
    parser.add_argument(
        '--bfloat16', action='store_true', help='products of both networks in bfloat16'
    )
    arguments = contest.parse(parser, PEER, rounds=3)
    height, width = arguments.canvas
    config = match_rcnn_data.Config(
        height,
        width,
        number=2 * arguments.batch,
        batch=arguments.batch,
        truths=arguments.truths,
        items=arguments.truths,
    )
    peer_python = arguments.peer_python
    if not any(FORMS[form].peer for form in arguments.forms):
        peer_python = 'none'
    with contest.peer_environment(peer_python, PEER) as python:
        numbers = measure(
            arguments.only, arguments.forms, arguments.rounds, config, python, arguments.bfloat16
        )
    contest.report(numbers, table(numbers), arguments.json)


if __name__ == '__main__':
    main()
