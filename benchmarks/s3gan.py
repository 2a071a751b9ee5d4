"""How fast S3GAN makes images and trains, beside plain PyTorch, and how far the limit is.

For the networks of Lucic et al. 2019 (BigGAN with self-supervision): the generator forward, by its
moving statistics; and a full training step. That is two updates of the discriminator, each of real
and generated images and of the rotations of every 16th real one in one call, one update of the
generator, Adam of both and the average of the generator's weights. `small` is 32 pixels, grey,
ch 8, 10 labels, batches of 64, as the gin files of MNIST; `full` is the paper's network, 128
pixels, ch 96, 1000 labels, in batches of 4. Aims: no slower than PyTorch anywhere, and 1.3 times as
fast where a fused operation or XLA helps.

    ./garden python benchmarks/s3gan.py [--rounds=7] [--only=small_step,full_step] [--json=FILE]
        [--forms=arboretum,torch]   some of the contestants
        [--full_batch=N]            images of an update of the full networks
        [--torch_python=PATH]       a Python that has torch; `none` leaves PyTorch out

The contestants take turns, each in a process of its own, one process at a time: it builds the
networks, warms up for a block, times some blocks and ends. Its number of a round is the median over
the blocks. Images are random, made once; both use all processors. The ratios are those of the form
of PyTorch with the lowest median to the form of this project with the lowest, of the same type of
numbers.

The floor is the time that the products alone take at the measured peak of convolutions, in numbers
of the same type. It counts the products of the networks as the paper draws them: resampling and
convolution apart. Fused to one convolution with 4 x 4 weights they are fewer, which the table says.

The environment of PyTorch is found or made as in benchmarks/ladder.py. torch.compile needs a C++
compiler and Python's headers, and minutes; leave its forms out with --forms.
"""

from __future__ import annotations

import argparse
import itertools
import math
import pathlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from benchmarks import contest

PEER = contest.Peer('PyTorch', 'torch', ('torch==2.13.0', 'numpy'))
DTYPES = ('float32', 'bfloat16')
ROTATION_STRIDE = 16
EMBEDDING, CHUNK, SEED_SIZE = 128, 20, 4
FUSED_FROM = 8  # Pixels of the height; see `official.modeling.spectral`.


class Config(NamedTuple):
    """What networks are built of.

    Attributes:
      image_size: height and width.
      channels: of an image.
      ch: the channel multiplier.
      classes: labels.
      batch: images of an update.
      generator: widths in units of ch before the first block and after each (Table 6).
      discriminator: widths in units of ch after each block (Table 7).
      attention: blocks of both after which the non-local block comes, 0: none.
    """

    image_size: int
    channels: int
    ch: int
    classes: int
    batch: int
    generator: tuple[int, ...]
    discriminator: tuple[int, ...]
    attention: tuple[int, int]


CONFIGS = {
    'small': Config(32, 1, 8, 10, 64, (4, 4, 4, 4), (2, 2, 2, 2), (0, 0)),
    'full': Config(128, 3, 96, 1000, 4, (16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), (4, 1)),
}


class Workload(NamedTuple):
    """What is timed.

    Attributes:
      label: in the table.
      config: one of CONFIGS.
      mode: 'forward' or 'step'.
      repetitions: in a block.
      blocks: timed, after one to warm up.
    """

    label: str
    config: str
    mode: str
    repetitions: int
    blocks: int


WORKLOADS = {
    'small_forward': Workload('32 pixels, ch 8, generator', 'small', 'forward', 20, 3),
    'small_step': Workload('32 pixels, ch 8, training step', 'small', 'step', 10, 3),
    'full_forward': Workload('128 pixels, ch 96, generator', 'full', 'forward', 1, 3),
    'full_step': Workload('128 pixels, ch 96, training step', 'full', 'step', 1, 2),
}


class Form(NamedTuple):
    """A contestant: its name in the table, whose it is, its type of numbers, its arguments."""

    label: str
    torch: bool
    dtype: str
    arguments: tuple[str, ...] = ()


FORMS = {
    'arboretum': Form('Arboretum', False, 'float32'),
    'xla': Form('Arboretum, XLA', False, 'float32', ('--xla',)),
    'unfused': Form('Arboretum, resampling apart', False, 'float32', ('--unfused',)),
    'torch': Form('PyTorch', True, 'float32'),
    'torch_contiguous': Form('PyTorch, NCHW', True, 'float32', ('--layout=contiguous',)),
    'torch_library': Form('PyTorch, its spectral norm', True, 'float32', ('--spectral=library',)),
    'torch_compiled': Form('PyTorch, compiled', True, 'float32', ('--compile',)),
    'bfloat16': Form('Arboretum, bfloat16', False, 'bfloat16'),
    'bfloat16_xla': Form('Arboretum, bfloat16, XLA', False, 'bfloat16', ('--xla',)),
    'torch_bfloat16': Form('PyTorch, bfloat16', True, 'bfloat16'),
    'torch_bfloat16_compiled': Form(
        'PyTorch, bfloat16, compiled', True, 'bfloat16', ('--compile',)
    ),
}


# Arithmetic.


class Products(NamedTuple):
    """Multiplications for an image.

    Attributes:
      weights: with weights, of convolutions and dense layers.
      lowest: those of them whose input is the network's.
      pairs: of pixels with pixels, in the attention.
    """

    weights: int = 0
    lowest: int = 0
    pairs: int = 0

    def __add__(self, other: Products) -> Products:
        return Products(*(one + two for one, two in zip(self, other, strict=True)))


def _resampled(inputs: int, outputs: int, size: int, fused: bool) -> tuple[int, int]:
    """Multiplications of a 3 x 3 and of a 1 x 1 convolution beside a resampling.

    Args:
      inputs: channels.
      outputs: channels.
      size: the height where it is lower.
      fused: as `SpectralConv2D`: both convolutions there, one with 4 x 4 weights and stride 2
        unless images are small; else where it is higher.
    """
    pixel = inputs * outputs * size**2
    return (16 if fused and size >= FUSED_FROM else 36) * pixel, (1 if fused else 4) * pixel


def _attention(channels: int, size: int) -> Products:
    # theta and phi have an eighth of the channels, g half; phi and g a quarter of the pixels.
    pixels = size**2
    return Products(
        pixels * channels**2 * 5 // 4, 0, pixels * (pixels // 4) * (channels // 8 + channels // 2)
    )


def generator_products(config: Config, fused: bool = False) -> Products:
    """Of one image; labels, which are looked up, are left out."""
    widths, size = [config.ch * width for width in config.generator], SEED_SIZE
    lowest = CHUNK * widths[0] * size**2
    total = Products(lowest, lowest)
    for number, (inputs, outputs) in enumerate(itertools.pairwise(widths), 1):
        conditions = 2 * (inputs + outputs) * (CHUNK + EMBEDDING)
        resampled = sum(_resampled(inputs, outputs, size, fused))
        size *= 2
        total += Products(conditions + resampled + 9 * outputs**2 * size**2)
        if number == config.attention[0]:
            total += _attention(outputs, size)
    return total + Products(9 * widths[-1] * config.channels * size**2)


def discriminator_products(config: Config, fused: bool = False) -> Products:
    """Of one image; the heads, which come after the sum over the pixels, are left out."""
    total, inputs, size = Products(), config.channels, config.image_size
    for number, width in enumerate(config.discriminator, 1):
        outputs = config.ch * width
        first = 9 * inputs * outputs * size**2
        if number < len(config.discriminator):
            size //= 2
            second = _resampled(outputs, outputs, size, fused)[0]
        else:
            second = 9 * outputs**2 * size**2
        # Where the number of channels changes, which that of the last block never does.
        shortcut = _resampled(inputs, outputs, size, fused)[1] if inputs != outputs else 0
        total += Products(first + second + shortcut, first + shortcut if number == 1 else 0)
        if number == config.attention[1]:
            total += _attention(outputs, size)
        inputs = outputs
    return total


def flops(mode: str, config: Config, fused: bool = False) -> int:
    """Floating-point operations of the products of a batch of images or of a training step.

    Going back, a product with weights is as much again for their gradient and for that of its
    input; one of pixels twice as much. The discriminator's updates have no gradient of images, its
    own weights none in the generator's update, and noise none at all. Norms are left out, and the
    power iterations.
    """
    made, seen = generator_products(config, fused), discriminator_products(config, fused)
    forward = made.weights + made.pairs
    if mode == 'forward':
        return 2 * config.batch * forward
    both_ways = [3 * (net.weights + net.pairs) - net.lowest for net in (made, seen)]
    shown = config.batch + 3 * math.ceil(config.batch / ROTATION_STRIDE)
    discriminator = config.batch * forward + (config.batch + shown) * both_ways[1]
    generator = config.batch * both_ways[0] + shown * (2 * seen.weights + 3 * seen.pairs)
    return 2 * (2 * discriminator + generator)


def summary(
    name: str, config: Config, runs: Mapping[str, Sequence[Mapping]], peaks: Mapping[str, float]
) -> dict:
    """All numbers of a workload.

    Args:
      name: of WORKLOADS.
      config: of its networks.
      runs: what each worker printed in each round, by the names of FORMS.
      peaks: GFLOP/s of convolutions, by the type of the numbers.

    Raises:
      SystemExit: two contestants had networks of different size.
    """
    workload = WORKLOADS[name]
    sizes = {form: printed[0]['parameters'] for form, printed in runs.items()}
    if len(set(sizes.values())) > 1:
        raise SystemExit(f'{name}: the contestants have different numbers of parameters: {sizes}.')
    gflop = flops(workload.mode, config) / 1e9
    forms = {}
    for form, printed in runs.items():
        floor = gflop / peaks[FORMS[form].dtype] * 1e3
        forms[form] = {
            'label': FORMS[form].label,
            'floor_ms': floor,
            **contest.times(printed, config.batch),
        }
        forms[form]['floor_fraction'] = floor / forms[form]['median_ms']
    ratios = {}
    for dtype in DTYPES:
        best = {
            torch: min(
                (form for form in forms if FORMS[form][1:3] == (torch, dtype)),
                key=lambda form: forms[form]['median_ms'],
                default=None,
            )
            for torch in (False, True)
        }
        if all(best.values()):
            ratios[f'{best[True]} over {best[False]}'] = (best[True], best[False])
    if {'arboretum', 'unfused'} <= forms.keys():
        ratios['unfused over arboretum'] = ('unfused', 'arboretum')
    return {
        'label': workload.label,
        'batch': config.batch,
        'parameters': min(sizes.values()),
        'gflop': gflop,
        'fused_gflop': flops(workload.mode, config, fused=True) / 1e9,
        'forms': forms,
        'ratios': {
            text: contest.ratio(*(forms[form]['round_ms'] for form in pair))
            for text, pair in ratios.items()
        },
    }


def table(numbers: Mapping) -> str:
    """The text of all workloads."""
    wide = max(len(form.label) for form in FORMS.values())
    texts = []
    for name, row in numbers['workloads'].items():
        speed = 'images/s' if WORKLOADS[name].mode == 'forward' else ''
        lines = [
            f'{row["label"]}, batch {row["batch"]}, {row["parameters"]} parameters',
            f'{"ms":{wide}}    median    lowest   highest  peak MB  floor  {speed}'.rstrip(),
        ]
        for form in row['forms'].values():
            memory = '?' if form['peak_mb'] is None else f'{form["peak_mb"]:.0f}'
            images = f'{form["images_per_s"]:8.1f}' if speed else ''
            lines.append(
                f'{form["label"]:{wide}}  {form["median_ms"]:8.1f}  {form["lowest_ms"]:8.1f}  '
                f'{form["highest_ms"]:8.1f}  {memory:>7}  {form["floor_fraction"]:5.0%}  '
                f'{images}'.rstrip()
            )
        for text, ratio in row['ratios'].items():
            lines.append(
                f'{text}: {ratio["median"]:.2f} ({ratio["lowest"]:.2f} to '
                f'{ratio["highest"]:.2f}; of the medians {ratio["of_medians"]:.2f})'
            )
        lines.append(f'{row["gflop"]:.2f} GFLOP, {row["fused_gflop"]:.2f} with fused resampling')
        texts.append('\n'.join(lines))
    rates = ', '.join(f'{rate:.0f} GFLOP/s in {dtype}' for dtype, rate in numbers['peaks'].items())
    return '\n\n'.join(
        [
            *texts,
            f'Floor: share of the time that the products, unfused, take at the '
            f'peak of convolutions, {rates}',
        ]
    )


# Measurement.


def measure(
    names: Sequence[str],
    forms: Collection[str],
    rounds: int,
    full_batch: int,
    torch_python: str | None,
) -> dict:
    """Runs the contestants of some workloads and returns `summary` of each with the machine.

    Args:
      names: of WORKLOADS.
      forms: of FORMS.
      rounds: turns of each contestant.
      full_batch: images of an update of the full networks.
      torch_python: a Python that has torch, or None for this project alone.
    """
    here = pathlib.Path(__file__).parent
    facts, libraries = contest.machine(), {}
    ours = (sys.executable, str(here / 's3gan_tensorflow.py'))
    # -I: nothing of this project, and none of its packages, in that environment.
    theirs = (torch_python, '-I', str(here / 's3gan_torch.py'), f'--threads={contest.processors()}')

    def worker(command: Sequence[str]) -> dict:
        printed = contest.run_worker(command)
        libraries.update(printed['libraries'])
        return printed

    def contestant(form: Form, *task: str) -> Callable[[], dict]:
        return lambda: worker(
            (*(theirs if form.torch else ours), *task, f'--dtype={form.dtype}', *form.arguments)
        )

    rates, workloads = [], {}
    for name in names:
        print(name, file=sys.stderr, flush=True)
        workload = WORKLOADS[name]
        config = CONFIGS[workload.config]
        if workload.config == 'full':
            config = config._replace(batch=full_batch)
        task = (
            workload.mode,
            workload.config,
            f'--batch={config.batch}',
            f'--repetitions={workload.repetitions}',
            f'--blocks={workload.blocks}',
        )
        turns = {
            key: contestant(form, *task)
            for key, form in FORMS.items()
            if key in forms and (torch_python or not form.torch)
        }
        runs = contest.take_turns(
            turns | {'peak': lambda: worker((*ours, 'peak'))['gflop_per_s']}, rounds
        )
        rates += runs.pop('peak')
        workloads[name] = config, runs
    peaks = {dtype: max(rate[dtype] for rate in rates) for dtype in DTYPES}
    return {
        'machine': facts | libraries,
        'settings': {'rounds': rounds},
        'peaks': peaks,
        'workloads': {
            name: summary(name, config, runs, peaks) for name, (config, runs) in workloads.items()
        },
    }


def _some_of(known: Mapping) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        for name in text.split(','):
            if name not in known:
                raise argparse.ArgumentTypeError(f'{name!r} is none of {", ".join(known)}')
        return text.split(',')

    return names


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
        '--full_batch',
        type=contest.positive,
        default=CONFIGS['full'].batch,
        help='images of an update of the full networks',
    )
    arguments = contest.parse(parser)
    torch_python = arguments.torch_python
    if not any(FORMS[form].torch for form in arguments.forms):
        torch_python = 'none'
    with contest.peer_environment(torch_python, PEER) as python:
        numbers = measure(
            arguments.only, arguments.forms, arguments.rounds, arguments.full_batch, python
        )
    contest.report(numbers, table(numbers), arguments.json)


if __name__ == '__main__':
    main()
