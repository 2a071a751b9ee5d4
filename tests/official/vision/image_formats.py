"""Image files of every kind that is read, written by hand or Pillow, and the pixels they mean."""

import io
import itertools
import struct
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 20, 28
_ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_KINDS = {0: 'grey', 2: 'RGB', 3: 'palette', 4: 'grey and opacity', 6: 'RGBA'}


class File(NamedTuple):
    """One file.

    Attributes:
      name: of its kind.
      contents: the bytes.
      pixels: uint8 [height, width, 3], on white; None: Pillow's.
      pillow: Pillow reads it right.
    """

    name: str
    contents: bytes
    pixels: np.ndarray | None = None
    pillow: bool = True


def by_pillow(image, kind, **options):
    contents = io.BytesIO()
    image.save(contents, kind, **options)
    return contents.getvalue()


def photograph(mode='RGB'):
    """Smooth, so that JPEG keeps it; no turn of it is itself."""
    random = np.random.default_rng(0).integers(0, 256, [4, 5, 3]).astype(np.uint8)
    return Image.fromarray(random).resize((WIDTH, HEIGHT), Image.BICUBIC).convert(mode)


def on_white(colours, opacity):
    """float64 [h, w, 3] of colours [h, w, 3] and opacity [h, w], both to 255."""
    part = opacity[..., np.newaxis] / 255
    return colours * part + 255 * (1 - part)


# PNG.


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def _rows(samples, depth):
    """Rows of samples [h, w, c] without a filter."""
    if depth == 16:
        rows = samples.astype('>u2').reshape(len(samples), -1).view(np.uint8)
    else:
        flat = samples.astype(np.uint8).reshape(len(samples), -1, 1)
        bits = np.unpackbits(flat, axis=2)[..., 8 - depth :]
        rows = np.packbits(bits.reshape(len(samples), -1), axis=1)
    return b''.join(b'\0' + row.tobytes() for row in rows)


def png(samples, depth, kind, palette=None, transparent=None, interlaced=False, before=()):
    """A PNG file.

    Args:
      samples: integers [h, w, c].
      depth: bits of a sample.
      kind: colour type.
      palette: [n, 3].
      transparent: data of a chunk tRNS.
      interlaced: by Adam7.
      before: further chunks in front of the pixels.
    """
    height, width, _ = samples.shape
    chunks = [
        chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, depth, kind, 0, 0, interlaced)),
        chunk(b'pHYs', struct.pack('>IIB', 1, 1, 0)),
        *before,
    ]
    if palette is not None:
        chunks.append(chunk(b'PLTE', palette.astype(np.uint8).tobytes()))
    if transparent is not None:
        chunks.append(chunk(b'tRNS', transparent))
    passes = [samples[top::down, left::across] for top, left, down, across in _ADAM7]
    rows = b''.join(
        _rows(part, depth) for part in (passes if interlaced else [samples]) if part.size
    )
    chunks += [chunk(b'IDAT', zlib.compress(rows)), chunk(b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunks)


def _png_file(kind, depth, transparent, interlaced):
    random = np.random.default_rng([kind, depth])
    levels = 2**depth
    samples = random.integers(0, levels, [HEIGHT, WIDTH, _CHANNELS[kind]])
    opacity = np.full([HEIGHT, WIDTH], 255.0)
    palette = mark = None
    eight = samples // 256 if depth == 16 else samples * 255 // (levels - 1)
    if kind == 3:
        palette = random.integers(0, 256, [levels, 3])
        colours = palette[samples[..., 0]]
        if transparent:
            # The first is invisible, the second half there, the others are opaque.
            mark = bytes([0, 128])
            opacity[samples[..., 0] == 0] = 0
            opacity[samples[..., 0] == 1] = 128
    else:
        colours = np.broadcast_to(
            eight[..., :1] if kind in (0, 4) else eight[..., :3], [HEIGHT, WIDTH, 3]
        )
        if kind in (4, 6):
            opacity = eight[..., -1].astype(float)
        elif transparent:
            key = samples[3, 5]
            mark = struct.pack(f'>{len(key)}H', *key)
            opacity[(samples == key).all(-1)] = 0
    name = (
        f'PNG, {_KINDS[kind]}, {depth} bits{", transparent" * transparent}'
        f'{", interlaced" * interlaced}'
    )
    # Pillow reads 16 bits of grey as integers, and compares a transparent colour of other depths
    # than 8 with pixels that it has scaled.
    pillow = not ((kind == 0 and depth == 16) or (transparent and kind in (0, 2) and depth != 8))
    return File(
        name,
        png(samples, depth, kind, palette, mark, interlaced),
        np.floor(on_white(colours, opacity) + 0.5).astype(np.uint8),
        pillow,
    )


def pngs():
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    for kind, some in depths.items():
        for depth, transparent, interlaced in itertools.product(some, (0, 1), (0, 1)):
            if kind in _KINDS and not (transparent and kind in (4, 6)):
                yield _png_file(kind, depth, transparent, interlaced)
    for colours in (2, 4, 16, 256):
        yield File(
            f"PNG, Pillow's {colours} colours", by_pillow(photograph().quantize(colours), 'PNG')
        )
    yield File(
        'PNG, colours that no pixel shows are transparent',
        png(np.ones([HEIGHT, WIDTH, 1], int), 1, 3, np.array([[0, 0, 0], [9, 80, 200]]), b'\0'),
        np.broadcast_to(np.uint8([9, 80, 200]), [HEIGHT, WIDTH, 3]),
    )


# JPEG.


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def jpegs():
    for mode, progressive in itertools.product(('L', 'RGB', 'CMYK'), (False, True)):
        yield File(
            f'JPEG, {mode}{", progressive" * progressive}',
            by_pillow(photograph(mode), 'JPEG', quality=90, progressive=progressive),
        )
    cmyk = by_pillow(photograph('CMYK'), 'JPEG', quality=95)
    transform = cmyk.index(b'Adobe') + 11
    yield File('JPEG, YCCK', cmyk[:transform] + b'\2' + cmyk[transform + 1 :])
    for subsampling in (0, 1, 2):
        yield File(
            f'JPEG, colours sampled by {subsampling}',
            by_pillow(photograph(), 'JPEG', subsampling=subsampling),
        )
    yield File('JPEG, stored as RGB', by_pillow(photograph(), 'JPEG', keep_rgb=True))
    yield File('JPEG, restarts', by_pillow(photograph(), 'JPEG', restart_marker_blocks=2))
    for kind, orientation in itertools.product(('JPEG', 'PNG'), range(1, 9)):
        yield File(
            f'{kind}, orientation {orientation}',
            by_pillow(photograph(), kind, exif=exif(orientation)),
        )


# BMP.


def bmp(pixels, bits, palette=None, compression=0, header=40, masks=b'', upwards=True, used=0):
    """A BMP file of pixels: integers [h, w] with a palette, else bytes [h, w, bits / 8]."""
    if bits < 8:
        depth = np.unpackbits(pixels.astype(np.uint8)[..., np.newaxis], axis=2)[..., 8 - bits :]
        rows = np.packbits(depth.reshape(len(pixels), -1), axis=1)
    else:
        rows = pixels.astype(np.uint8).reshape(len(pixels), -1)
    rows = np.pad(rows, [(0, 0), (0, -rows.shape[1] % 4)])
    if upwards:
        rows = rows[::-1]
    colours = (
        b''
        if palette is None
        else np.pad(palette[:, ::-1], [(0, 0), (0, 1)]).astype(np.uint8).tobytes()
    )
    height, width = pixels.shape[:2]
    image = (
        struct.pack(
            '<iiihhiiiiii',
            header,
            width,
            height if upwards else -height,
            1,
            bits,
            compression,
            rows.size,
            2835,
            2835,
            used,
            0,
        )
        + masks
    )
    start = 14 + len(image) + len(colours)
    return (
        b'BM' + struct.pack('<iii', start + rows.size, 0, start) + image + colours + rows.tobytes()
    )


def bmps():
    random = np.random.default_rng(3)
    for bits, upwards in itertools.product((1, 4, 8), (True, False)):
        indices = random.integers(0, 2**bits, [HEIGHT, WIDTH])
        palette = random.integers(0, 256, [2**bits, 3])
        yield File(
            f'BMP, {bits} bits{", downwards" * (not upwards)}',
            bmp(indices, bits, palette, upwards=upwards),
            palette[indices].astype(np.uint8),
        )
    indices = random.integers(0, 5, [HEIGHT, WIDTH])
    palette = random.integers(0, 256, [5, 3])
    yield File(
        'BMP, 8 bits, five colours',
        bmp(indices, 8, palette, used=5),
        palette[indices].astype(np.uint8),
    )
    for mode in ('1', 'L', 'P', 'RGB'):
        yield File(f'BMP, {mode} of Pillow', by_pillow(photograph(mode), 'BMP'))
    pixels = random.integers(0, 256, [HEIGHT, WIDTH, 4])
    pixels[:4, :, 3] = np.array([[0], [255], [1], [254]])
    yield File(
        'BMP, 24 bits, downwards',
        bmp(pixels[..., 2::-1], 24, upwards=False),
        pixels[..., :3].astype(np.uint8),
    )
    blue_first = pixels[..., [2, 1, 0, 3]]
    yield File('BMP, 32 bits', bmp(blue_first, 32), pixels[..., :3].astype(np.uint8))
    masks = struct.pack('<IIII', 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    expected = np.floor(on_white(pixels[..., :3], pixels[..., 3]) + 0.5).astype(np.uint8)
    yield File('BMP, 32 bits with opacity', bmp(blue_first, 32, None, 3, 56, masks), expected)


# GIF.


def gifs():
    few = photograph().quantize(8)
    yield File('GIF, palette', by_pillow(few, 'GIF'))
    yield File('GIF, grey', by_pillow(photograph('L'), 'GIF', interlace=0))
    yield File('GIF, interlaced', by_pillow(photograph('P'), 'GIF', interlace=1))
    transparent = by_pillow(few, 'GIF', transparency=3, optimize=False)
    yield File('GIF, transparent', transparent)
    beyond = bytearray(transparent)
    beyond[transparent.index(b'\x21\xf9') + 6] = 200
    yield File(
        'GIF, an index beyond the palette is transparent',
        bytes(beyond),
        np.asarray(few.convert('RGB')),
    )
    yield File(
        'GIF, long comment',
        by_pillow(few, 'GIF', transparency=3, optimize=False, comment=b'comment ' * 200),
    )
    yield File(
        'GIF, of two frames',
        by_pillow(few, 'GIF', save_all=True, append_images=[photograph('L')], transparency=3),
    )
    # A frame of 9 x 12 pixels at row 5 and column 7 of the screen.
    small = few.crop((0, 0, 12, 9))
    contents = bytearray(by_pillow(small, 'GIF', transparency=3, optimize=False))
    contents[6:10] = struct.pack('<HH', WIDTH, HEIGHT)
    frame = contents.index(b'\x2c' + struct.pack('<HHHH', 0, 0, 12, 9))
    contents[frame + 1 : frame + 5] = struct.pack('<HH', 7, 5)
    expected = np.full([HEIGHT, WIDTH, 3], 255, np.uint8)
    visible = np.asarray(small.convert('RGB')).copy()
    visible[np.asarray(small) == 3] = 255
    expected[5:14, 7:19] = visible
    yield File('GIF, a small frame, transparent', bytes(contents), expected)
    # The same palette, of the frame in place of the file.
    flags, size = contents[10], 3 * 2 << (contents[10] & 7)
    own = bytearray(contents[:10] + bytes([flags & 0x70]) + contents[11:13])
    own += contents[13 + size : frame + 9] + bytes([0x80 | (flags & 7)])
    own += contents[13 : 13 + size] + contents[frame + 10 :]
    yield File('GIF, a palette of the frame', bytes(own), expected)


def files():
    return [*pngs(), *jpegs(), *bmps(), *gifs()]


def refused():
    """{name: (contents, a part of the sentence)} of what is not read."""
    image = photograph()
    whole = np.zeros([HEIGHT, WIDTH, 2])
    palette = np.zeros([256, 3], int)
    core = bytearray(bmp(whole, 16))
    core[14] = 12
    empty = bytearray(bmp(np.zeros([4, 4, 3]), 24))
    empty[18:22] = bytes(4)
    read = 'is not read as an image; JPEG, PNG, GIF and BMP are'
    huge = bytearray(by_pillow(image, 'GIF'))
    huge[6:10] = b'\xff' * 4
    damaged = {
        'empty': (b'', f'An empty file {read}'),
        'text': (b'some text', f'A file of an unknown format {read}'),
        'WebP': (by_pillow(image, 'WEBP'), f'WebP {read}'),
        'WebP without loss': (by_pillow(image, 'WEBP', lossless=True), f'WebP {read}'),
        'TIFF': (by_pillow(image, 'TIFF'), f'TIFF {read}'),
        'AVIF': (b'\0\0\0\x1cftypavif', rf'HEIF \(HEIC, AVIF\) {read}'),
        'BMP of 16 bits': (bmp(whole, 16), 'BMP of 16 bits per pixel and compression 0 is not'),
        'BMP of run lengths': (bmp(whole[..., 0], 8, palette, 1), '8 bits per pixel and compr.* 1'),
        'BMP of other masks': (bmp(np.zeros([4, 4, 4]), 32, None, 3, masks=bytes(16)), '32 bits'),
        'BMP of OS/2': (bytes(core), 'A BMP with a header of 12 bytes is not read'),
        'BMP of no pixels': (bytes(empty), 'The BMP is cut short or damaged'),
        'GIF of a huge screen': (bytes(huge), '65535 x 65535 pixels, more than'),
        'begun BMP': (b'BM', 'BMP'),
        'begun GIF': (b'GIF89a', 'The GIF has no frame'),
        'begun PNG': (b'\x89PNG\r\n\x1a\n', 'PNG'),
        'begun JPEG': (b'\xff\xd8\xff', 'JPEG'),
    }
    # Noise, which no format makes small.
    noise = Image.fromarray(np.random.default_rng(4).integers(0, 256, [64, 64, 3], np.uint8))
    for kind, cut in (('PNG', 20), ('JPEG', 200), ('BMP', 1)):
        damaged[f'truncated {kind}'] = by_pillow(noise, kind)[:-cut], kind
    damaged['truncated BMP of 8 bits'] = by_pillow(noise.convert('P'), 'BMP')[:-1], 'cut short'
    return damaged
