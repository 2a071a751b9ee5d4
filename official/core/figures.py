"""Charts and pictures as pieces of HTML: SVG or PNG in data: URIs, drawn by Matplotlib.

Figures are objects of their own: no pyplot, so no window system and no state between charts.
Matplotlib is imported when something is drawn, so that training does not wait for it.
"""

from __future__ import annotations

import base64
import contextlib
import html
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from official.core import page, results

INK = '#1d2733'
SOFT = '#5b6875'
# Okabe and Ito's colours, told apart by colour-blind readers too.
PALETTE = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#7a5195')
_DASHES = ('-', (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)))  # When the colours are used up.
_LARGEST = 1e150  # Matplotlib's axes cannot span from -1e308 to 1e308.
_MOST_POINTS = 800  # A curve of more points than a screen has pixels only makes a larger file.
# Matplotlib's own type names every key that there is.
_STYLE: Any = {
    'font.family': 'DejaVu Sans',
    'font.size': 9,
    'text.color': INK,
    'axes.labelcolor': SOFT,
    'axes.edgecolor': '#b8c2cc',
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.titlesize': 10,
    'axes.titleweight': 'bold',
    'axes.titlelocation': 'left',
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': '#e6ebf0',
    'grid.linewidth': 0.8,
    'xtick.color': SOFT,
    'ytick.color': SOFT,
    'lines.linewidth': 1.6,
    'legend.frameon': False,
    'legend.fontsize': 8,
    'svg.fonttype': 'path',
    'svg.hashsalt': 'report',
    'text.usetex': False,
    'text.parse_math': False,
}


@contextlib.contextmanager
def figure(width: float = 4.8, height: float = 3.2) -> Iterator[Any]:
    """An empty Matplotlib figure of `width` x `height` inches, drawn in the house's style.

    Use as `with figure() as drawing:`; draw and call `svg` inside.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        drawing = Figure(figsize=(width, height), layout='constrained')
        FigureCanvasAgg(drawing)
        yield drawing


def svg(drawing: Any, alt: str, caption: str = '') -> str:
    """A Matplotlib figure as an HTML figure.

    Args:
      drawing: the Matplotlib figure.
      alt: what the picture shows, for who cannot see it.
      caption: plain text below it.
    """
    file = io.BytesIO()
    # Neither date nor program: the same run gives the same bytes.
    drawing.savefig(file, format='svg', metadata={'Date': None, 'Creator': None})
    # The indentation is a sixth of the file.
    drawn = re.sub(rb'\n\s+', b'\n', file.getvalue())
    below = f'<figcaption>{html.escape(caption)}</figcaption>' if caption else ''
    return f'<figure><img alt="{html.escape(alt)}" src="{_uri("svg+xml", drawn)}">{below}</figure>'


def curves(
    history: Sequence[Mapping[str, float]],
    keys: Sequence[str],
    title: str,
    *,
    log: bool = False,
    y_label: str = '',
    lines: Mapping[str, float] | None = None,
    compare: Mapping[str, Sequence[Mapping[str, float]]] | None = None,
) -> str:
    """Recorded values over training steps.

    Args:
      history: records with 'step'; a record may lack any other key. Values that are not finite or
        beyond 1e150, and on a logarithmic axis those not above 0, leave a gap.
      keys: which values to draw; those that end in numbers (a cost for each layer, say) share
        one scale of colours.
      title: title of the chart.
      log: logarithmic y axis.
      y_label: label of the y axis.
      lines: horizontal lines by name, such as a published value.
      compare: other histories by name, whose same keys are dashed.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    with figure() as drawing:
        axes = drawing.add_subplot(title=title, xlabel='step', ylabel=y_label)
        names = [results.label(key) for key in keys]
        for index, (key, name, color) in enumerate(zip(keys, names, _colors(keys), strict=True)):
            steps, values = _points(history, key, log)
            dashes = '-' if compare else _DASHES[index // len(PALETTE) % len(_DASHES)]
            _curve(axes, steps, values, key, name, color, dashes)
            for other, records in (compare or {}).items():
                steps, values = _points(records, key, log)
                if np.isfinite(values).any():
                    label = other if len(keys) == 1 else f'{other}: {name}'
                    _curve(axes, steps, values, f'{other}-{key}', label, SOFT, '--')
        for index, (name, value) in enumerate((lines or {}).items()):
            axes.axhline(
                value,
                color=(INK, *PALETTE[3:])[index % 5],
                linewidth=1,
                linestyle=(0, (1, 1.5)),
                label=f'{name}: {value:.3g}',
            )
        if log:
            axes.set_yscale('log')
            _plain_log_ticks(axes)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: page.number(int(step))))
        drawing.legend(loc='outside lower left', ncols=2, handlelength=1.6, columnspacing=1.4)
        # The legend needs its rows without taking them from the curves.
        entries = len(axes.get_legend_handles_labels()[0])
        drawing.set_size_inches(4.8, 2.7 + 0.17 * math.ceil(entries / 2))
        return svg(drawing, f'{title}: {", ".join(names)} over steps')


def _curve(axes, steps, values, key, name, color, dashes):
    finite = np.flatnonzero(np.isfinite(values))
    last = f': {values[finite[-1]]:.3g}' if finite.size else ': no value'
    (line,) = axes.plot(
        steps,
        values,
        linestyle=dashes,
        color=color,
        label=name + last,
        marker='o' if finite.size <= 20 else None,
        markersize=3,
    )
    line.set_gid(f'curve-{key}')


def _points(history, key, log) -> tuple[np.ndarray, np.ndarray]:
    records = [record for record in history if record.get(key) is not None]
    steps = np.array([record['step'] for record in records], np.float64)
    values = np.array([record[key] for record in records], np.float64)
    values[~(np.abs(values) <= _LARGEST) | (log & (values <= 0))] = np.nan
    if len(steps) > _MOST_POINTS:
        kept = np.unique(np.linspace(0, len(steps) - 1, _MOST_POINTS).round().astype(int))
        steps, values = steps[kept], values[kept]
    return steps, values


def _colors(keys: Sequence[str]) -> list:
    import matplotlib

    numbered = [key for key in keys if re.search(r'_\d+$', key)]
    if len(numbered) < 3:
        numbered = []
    scale = matplotlib.colormaps['viridis'](np.linspace(0, 0.88, max(len(numbered), 1)))
    # Blue and green are on the scale already.
    plain = iter(
        (PALETTE[1], PALETTE[3], PALETTE[4], INK) * len(keys) if numbered else PALETTE * len(keys)
    )
    shades = iter(scale)
    return [next(shades) if key in numbered else next(plain) for key in keys]


def _plain_log_ticks(axes):
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_ylim()
    few = high / low < 200
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=9))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
    axes.yaxis.set_minor_formatter(NullFormatter())


def strip_plot(
    groups: Mapping[str, Mapping[str, object]], title: str, x_label: str, point: str = 'a seed'
) -> str:
    """Every value as a point, their mean with its standard deviation, and their median.

    Args:
      groups: by name, from top to bottom: {'mean': float, 'std': float, 'median': float,
        'values': list of floats}; all but the mean may be missing.
      title: title of the chart.
      x_label: what the values are.
      point: what each point is.
    """
    with figure(4.8, 1.5 + 0.55 * len(groups)) as drawing:
        axes = drawing.add_subplot(title=title, xlabel=x_label)
        named = set()

        def once(name):
            label = '_nolegend_' if name in named else name
            named.add(name)
            return label

        for row, group in enumerate(groups.values()):
            color = PALETTE[row % len(PALETTE)]
            values = np.asarray(group.get('values') or (), np.float64)
            # Three heights in turn keep equal values apart.
            axes.plot(
                values,
                row - 0.2 + 0.1 * (np.arange(len(values)) % 3 - 1),
                'o',
                color=color,
                alpha=0.55,
                markersize=5,
                markeredgewidth=0,
                gid=f'values-{row}',
                label=once(point) if len(values) else '_nolegend_',
            )
            if group.get('median') is not None:
                axes.plot(
                    [group['median']],
                    [row - 0.2],
                    '|',
                    color=INK,
                    markersize=15,
                    markeredgewidth=1.6,
                    label=once('median'),
                )
            std = group.get('std')
            axes.errorbar(
                [group['mean']],
                [row + 0.2],
                xerr=None if std is None else [std],
                fmt='D',
                color=color,
                markersize=5,
                capsize=3,
                label=once('mean ± standard deviation'),
            )
        axes.set_yticks(range(len(groups)), list(groups))
        axes.tick_params('y', length=0, labelcolor=INK)
        axes.set_ylim(len(groups) - 0.45, -0.55)
        axes.grid(False, axis='y')
        drawing.legend(loc='outside lower left', ncols=3, handlelength=1.2)
        alt = '; '.join(f'{name}: mean {group["mean"]:.4g}' for name, group in groups.items())
        return svg(drawing, f'{title}: {alt}')


def image_grid(
    rows: Sequence[Sequence[np.ndarray | None]],
    row_titles: Sequence[str],
    column_titles: Sequence[str],
    value_range: tuple[float, float] = (0.0, 1.0),
    large: bool = False,
) -> str:
    """Images in a table, each pixel as it is.

    Args:
      rows: images [height, width], [height, width, 1] or [height, width, 3]; None: an empty cell.
      row_titles: a name for each row.
      column_titles: a name for each column.
      value_range: values shown as black and as white; those beyond are clipped.
      large: for photographs of many pixels, which a small cell would mangle.
    """
    head = ''.join(f'<th>{html.escape(str(title))}</th>' for title in column_titles)
    body = []
    for title, images in zip(row_titles, rows, strict=True):
        names = [f'{column}, {title}'.strip(', ') for column in column_titles]
        cells = ''.join(
            '<td></td>'
            if image is None
            else f'<td><img alt="{html.escape(name)}" src="{_png(image, value_range)}"></td>'
            for name, image in zip(names, images, strict=True)
        )
        body.append(f'<tr><th>{html.escape(str(title))}</th>{cells}</tr>')
    kind = '"images large"' if large else 'images'
    return (
        f'<div class=scroll><table class={kind}><thead><tr><th></th>{head}</tr></thead>'
        f'<tbody>{"".join(body)}</tbody></table></div>'
    )


def grid_image(rows: np.ndarray, gap: int = 2) -> np.ndarray:
    """A grid of images as one image, with white between them.

    Args:
      rows: [rows, columns, height, width, channels], in [0, 1].
      gap: pixels between images.

    Returns:
      [rows (height + gap) - gap, columns (width + gap) - gap, channels].
    """
    padded = np.pad(rows, ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)), constant_values=1)
    down, across, height, width, channels = padded.shape
    joined = padded.transpose(0, 2, 1, 3, 4).reshape(down * height, across * width, channels)
    return joined[: down * height - gap, : across * width - gap]


def write_png(path: str, image: np.ndarray, value_range: tuple[float, float] = (0.0, 1.0)) -> None:
    """Writes an image, as `image_grid` takes them, to a PNG file."""
    with open(path, 'wb') as file:
        file.write(_png_bytes(image, value_range))


def _png(image: np.ndarray, value_range: tuple[float, float]) -> str:
    return _uri('png', _png_bytes(image, value_range))


def _png_bytes(image: np.ndarray, value_range: tuple[float, float]) -> bytes:
    from PIL import Image  # Comes with Matplotlib, whose own writer makes a grey one less.

    low, high = value_range
    pixels = np.clip((np.asarray(image, np.float32) - low) / (high - low), 0, 1)
    pixels = np.round(255 * np.nan_to_num(pixels)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels).save(file, 'PNG')
    return file.getvalue()


def _uri(kind: str, data: bytes) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'
