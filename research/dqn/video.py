"""Episodes as animated GIFs: the kind of film that needs no codec and plays in any browser."""

from __future__ import annotations

import base64
import contextlib
import html as html_text
import io
import os

import numpy as np

_COLORS = 256  # A GIF's palette.
_FASTEST = 50.0  # Browsers take a frame of less than two hundredths of a second for one of ten.


def write_gif(frames: np.ndarray, path: str, frames_per_second: float) -> None:
    """Writes frames as a GIF that repeats for ever, whole or not at all.

    All frames share one palette, and of each only what has changed is stored. With up to 256
    colours, more than the Atari 2600 has, every pixel keeps its colour; with more, colours are
    replaced by near ones. A GIF counts time in hundredths of a second: a frame is shown for the
    whole number of them that keeps the film in time, and frames that repeat the one before
    prolong it.

    Args:
      frames: RGB, uint8 [frames, height, width, 3].
      path: the file; a remote one (`gs://`) goes through TensorFlow.
      frames_per_second: above 0, up to 50.

    Raises:
      ValueError: no frames, frames of another type or shape, or a speed no GIF has.
      OSError: the file cannot be written.
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        raise ValueError(
            f'{path}: a GIF needs frames uint8 [frames, height, width, 3] with at '
            f'least one pixel, not {frames.dtype} {list(frames.shape)}.'
        )
    if not 0 < frames_per_second <= _FASTEST:
        raise ValueError(
            f'{path}: a GIF plays more than 0 and at most {_FASTEST:g} frames a '
            f'second, not {frames_per_second}.'
        )
    images = _images(frames)
    # Rounded at the end of each frame, not frame by frame: the error does not add up.
    ends = np.round(np.arange(len(frames) + 1) * 100 / frames_per_second).astype(int)
    file = io.BytesIO()
    images[0].save(
        file,
        'GIF',
        save_all=True,
        append_images=images[1:],
        loop=0,
        duration=(10 * np.diff(ends)).tolist(),
    )
    _write(path, file.getvalue())


def speed(frame_skip: int) -> float:
    """Frames per second of a film at the speed of the game, or the fastest that a GIF has.

    Args:
      frame_skip: emulator frames, 60 of which are a second, from one frame of the film to the next.
    """
    return min(60 / frame_skip, _FASTEST)


def html(path: str, alt: str, caption: str = '') -> str:
    """A GIF as an HTML figure that holds it.

    Args:
      path: the file.
      alt: what the film shows, for who cannot see it.
      caption: plain text below it.

    Raises:
      FileNotFoundError: there is no such file.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'there is no film {path}.')
    with open(path, 'rb') as file:
        data = base64.b64encode(file.read()).decode()
    below = f'<figcaption>{html_text.escape(caption)}</figcaption>' if caption else ''
    return (
        f'<figure><img alt="{html_text.escape(alt)}" style="width: 20rem; max-width: 100%; '
        f'image-rendering: pixelated" src="data:image/gif;base64,{data}">{below}</figure>'
    )


def _images(frames: np.ndarray) -> list:
    """The frames as Pillow's images with indices into one palette."""
    from PIL import Image

    # Frame by frame, as numbers take four times the memory.
    colors = np.unique(np.concatenate([np.unique(_packed(frame)) for frame in frames]))
    rgb = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=-1).astype(np.uint8)
    indices = np.arange(len(colors), dtype=np.uint8)
    palette = rgb
    if len(colors) > _COLORS:
        # Every colour counts once, however many pixels it has: small things are what matters in
        # a game.
        reduced = Image.fromarray(rgb[None]).quantize(
            _COLORS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
        )
        indices = np.asarray(reduced)[0]
        palette = np.array(reduced.getpalette(), np.uint8).reshape(-1, 3)
    images = []
    for frame in frames:
        image = Image.fromarray(indices[np.searchsorted(colors, _packed(frame))])
        image.putpalette(palette.tobytes())
        images.append(image)
    return images


def _packed(frame: np.ndarray) -> np.ndarray:
    """Colours [..., 3] as numbers: many times faster to compare and to look up."""
    red, green, blue = np.moveaxis(frame.astype(np.uint32), -1, 0)
    return red << 16 | green << 8 | blue


def _write(path: str, data: bytes) -> None:
    partial = path + '.partial'
    if '://' in path:
        import tensorflow as tf

        with tf.io.gfile.GFile(partial, 'wb') as file:
            file.write(data)
        tf.io.gfile.rename(partial, path, overwrite=True)
        return
    try:
        with open(partial, 'wb') as file:
            file.write(data)
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.remove(partial)
        raise
