"""The command that draws garments: `python -m research.match_rcnn.garments --folder=...`."""

from __future__ import annotations

from absl import app, flags, logging

from research.match_rcnn.garments import dataset

_FOLDER = flags.DEFINE_string('folder', None, 'Where to draw.', required=True)
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of everything that is drawn.')
_TRAIN = flags.DEFINE_integer('train', 200, 'Identities for training.')
_VALIDATION = flags.DEFINE_integer('validation', 40, 'Identities for validation.')
_USERS = flags.DEFINE_integer('users', 4, 'Images of consumers, an identity.')
_SHOPS = flags.DEFINE_integer('shops', 4, 'Images of shops, an identity.')
_HEIGHT = flags.DEFINE_integer('height', 256, 'Height of the images in pixels.')
_WIDTH = flags.DEFINE_integer('width', 192, 'Width of the images in pixels.')
_WORKERS = flags.DEFINE_integer('workers', None, 'Processes; by default one a core.')


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f'Unknown argument {argv[1]!r}.')
    try:
        folder = dataset.generate(
            _FOLDER.value,
            _SEED.value,
            {'train': _TRAIN.value, 'validation': _VALIDATION.value},
            _USERS.value,
            _SHOPS.value,
            (_HEIGHT.value, _WIDTH.value),
            workers=_WORKERS.value,
        )
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None
    logging.info('%s is ready.', folder)


if __name__ == '__main__':
    app.run(main)
