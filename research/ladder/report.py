"""What a Ladder network's report shows beside the common parts.

Rasmus et al. 2015, "Semi-Supervised Learning with Ladder Networks": an image of each class clean,
corrupted and denoised, and the learned denoising functions drawn as Figure 1 draws the optimal one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official.core import figures, page
from official.core.page import Section
from research.ladder import encoder

_ARROWS = '#2a9d3f'


class LadderReport:
    """The Ladder sections of a report.

    Args:
      units_per_layer: units whose denoising function is drawn, of each layer.
      u_values: values of the projection u from the layer above, one curve each, in its standard
        deviations (u is batch-normalized, Eq. (2)). The arrows belong to the middle one.
      hidden_range: the layers above the input are drawn for z_tilde in +-hidden_range, in standard
        deviations of the clean values.
      points: points of a curve.
    """

    def __init__(
        self,
        units_per_layer: int = 4,
        u_values: Sequence[float] = (-2.0, -1.0, 0.0, 1.0, 2.0),
        hidden_range: float = 3.0,
        points: int = 61,
    ):
        self.units_per_layer = units_per_layer
        self.u_values = tuple(sorted(float(u) for u in u_values))
        self.hidden_range = hidden_range
        self.points = points

    def __call__(self, model: tf.keras.Model, data: Any, key: tf.Tensor) -> list[Section]:
        """The sections, of those that the model has.

        Args:
          model: a LadderNetwork: `denoise(x, key)`, `rungs`, and for each layer from the input up
            `denoising_costs` and `denoisers`, None where a layer has none.
          data: `evaluation('test')` batches of (x, y, weight), `class_names`.
          key: int32 [1, 2], the noise of the corrupted images.
        """
        denoisers = list(getattr(model, 'denoisers', None) or ())
        sections = []
        input_range = (-1.0, 2.0)
        if denoisers and denoisers[0] is not None:
            images = images_of_classes(model, data, key)
            sections.append(self._images(images, data.class_names))
            input_range = _range(images['corrupted'])
        if any(denoiser is not None for denoiser in denoisers):
            sections.append(self._functions(model, input_range))
        return sections

    def _images(self, images, class_names) -> Section:
        low, high = _range(images['clean'])
        if low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        titles = ('clean', 'corrupted', 'denoised')
        names = [str(class_names[label]) for label in images['labels']]
        grid = figures.image_grid([images[title] for title in titles], titles, names, (low, high))
        return Section(
            'Clean, corrupted and denoised',
            grid
            + page.paragraph(
                'The first test image of each class, the same image with the noise of training, '
                "and the decoder's estimate of the clean one. Black and white are "
                f'{low:.3g} and {high:.3g}.',
                note=True,
            ),
        )

    def _functions(self, model, input_range) -> Section:
        parts = [
            page.paragraph(
                "What each layer has learned as its denoising function, drawn as the paper's "
                'Figure 1 draws the optimal one: across the corrupted value, upwards its denoised '
                'estimate. On the dashed line nothing would change; the green arrows show how the '
                'thick curve moves values towards more probable ones. Each colour is one value of '
                'u, the message from the layer above, in its standard deviations; above the input, '
                'so are z and its estimate, in those of the clean values.'
            ),
            self._legend(),
            '<h3>Figure 1: optimal for two modes</h3>',
            f'<div class="small figures">{self._two_modes()}</div>',
        ]
        top = len(model.denoisers) - 1
        free = []
        for layer, denoiser in enumerate(model.denoisers):
            if denoiser is None:
                continue
            if not model.denoising_costs[layer]:
                free.append(str(layer))
                continue
            low, high = input_range if layer == 0 else (-self.hidden_range, self.hidden_range)
            z = np.linspace(low, high, self.points, dtype=np.float32)
            curves = denoised_values(denoiser, z, self.u_values)
            if layer:
                curves = normalized_as_clean(curves, model.rungs[layer - 1])
            units = units_that_bend_most(z, self.u_values, curves, self.units_per_layer)
            name = 'input' if layer == 0 else 'output' if layer == top else 'hidden'
            panels = ''.join(
                self._panel(f'layer {layer}, unit {unit}', z, curves[..., unit]) for unit in units
            )
            parts.append(
                f'<h3>Layer {layer}, {name}: {page.number(denoiser.units)} units</h3>'
                f'<div class="small figures">{panels}</div>'
            )
        parts.append(
            page.paragraph(
                'Drawn are the units (in convolutions: channels) whose function bends most, that '
                'is, lies farthest from a plane in z and u: a function as flat as a plane ignores '
                'what u says about z.',
                note=True,
            )
        )
        if free:
            parts.append(
                page.paragraph(
                    f'Not drawn: layer {", ".join(free)}, without a denoising cost. Nothing there '
                    'holds the estimate to the scale of z.',
                    note=True,
                )
            )
        return Section('Learned denoising functions', ''.join(parts))

    def _legend(self) -> str:
        from matplotlib.colors import to_hex

        swatches = ''.join(
            f'<span class=swatch style="background:{to_hex(color)}"></span>u = {u:g}'
            for u, color in zip(self.u_values, self._colors(), strict=True)
        )
        return f'<p class=note>{swatches}</p>'

    def _colors(self):
        import matplotlib

        return matplotlib.colormaps['plasma'](np.linspace(0.05, 0.82, len(self.u_values)))

    def _two_modes(self) -> str:
        z = np.linspace(-3, 3, self.points)
        curve = optimal_for_two_modes(z)
        return self._panel('optimal, modes at ±1', z, curve[None], figures.PALETTE[0])

    def _panel(self, title: str, z: np.ndarray, curves: np.ndarray, color=None) -> str:
        """One unit: `curves` [values of u, points]."""
        with figures.figure(2.4, 2.5) as drawing:
            axes = drawing.add_subplot(xlabel='corrupted z', ylabel='denoised z')
            axes.set_title(title, fontsize=9)
            axes.plot(z[[0, -1]], z[[0, -1]], '--', color=figures.SOFT, linewidth=1)
            middle = len(curves) // 2
            colors = self._colors() if color is None else [color]
            for index, (curve, shade) in enumerate(zip(curves, colors, strict=True)):
                (line,) = axes.plot(
                    z, curve, color=shade, linewidth=2.2 if index == middle else 1.2
                )
                line.set_gid(f'u-{index}')
            low, high = _view(z, curves)
            axes.set_ylim(low, high)
            self._draw_arrows(axes, z, curves[middle], (low, high))
            return figures.svg(drawing, f'Denoising function, {title}')

    @staticmethod
    def _draw_arrows(axes, z, curve, view):
        for start in np.linspace(z[0], z[-1], 13)[1:-1]:
            end = np.clip(np.interp(start, z, curve), *view)
            if abs(end - start) > 0.035 * (view[1] - view[0]):  # Shorter ones are only their heads.
                axes.annotate(
                    '',
                    (start, end),
                    (start, start),
                    arrowprops={
                        'arrowstyle': '-|>',
                        'color': _ARROWS,
                        'linewidth': 1,
                        'mutation_scale': 7,
                        'shrinkA': 0,
                        'shrinkB': 0,
                    },
                )


def images_of_classes(model: tf.keras.Model, data: Any, key: tf.Tensor) -> dict[str, np.ndarray]:
    """The first test image of each class, clean, corrupted and denoised.

    Whole batches go through the model, as it may use the statistics of a batch.

    Args:
      model: has `denoise(x, key)`, a dict of clean, corrupted and denoised batches like x.
      data: has `evaluation('test')`, `class_names`, and `arrays.test_images` of the images' shape.
      key: int32 [1, 2], of the noise.

    Returns:
      clean, corrupted, denoised: [classes found, height, width, channels]; labels, ascending.
    """
    shape = tuple(data.arrays.test_images.shape[1:])
    found: dict[int, dict[str, np.ndarray]] = {}
    for x, y, weight in data.evaluation('test'):
        real = np.flatnonzero(np.asarray(weight) > 0)
        labels = np.asarray(y)[real]
        new = {
            int(label): np.flatnonzero(labels == label)[0]
            for label in np.unique(labels)
            if int(label) not in found
        }
        if new:
            images = model.denoise(np.asarray(x)[real], key)
            for label, index in new.items():
                found[label] = {
                    name: np.asarray(images[name][index]).reshape(shape)
                    for name in ('clean', 'corrupted', 'denoised')
                }
        if len(found) == len(data.class_names):
            break
    labels = sorted(found)
    stacks = {
        name: np.stack([found[label][name] for label in labels])
        for name in ('clean', 'corrupted', 'denoised')
    }
    return {'labels': np.array(labels), **stacks}


def denoised_values(
    denoiser: tf.keras.layers.Layer, z: np.ndarray, u_values: Sequence[float]
) -> np.ndarray:
    """g(z, u) of every unit, every unit given the same z and u.

    Args:
      denoiser: called as denoiser(z_tilde, u) with [batch, units] tensors; has `units`.
      z: corrupted values, [points].
      u_values: values of the projection from above.

    Returns:
      float32 [values of u, points, units].
    """
    grid_u, grid_z = np.meshgrid(np.asarray(u_values, np.float32), z, indexing='ij')
    ones = np.ones((1, denoiser.units), np.float32)
    values = denoiser(grid_z.reshape(-1, 1) * ones, grid_u.reshape(-1, 1) * ones)
    return np.asarray(values).astype(np.float32).reshape(*grid_z.shape, denoiser.units)


def normalized_as_clean(curves: np.ndarray, rung: Any) -> np.ndarray:
    """z_hat on the scale of z, as the denoising cost of Eq. (2) compares them.

    Args:
      curves: z_hat, on the scale of z_pre, [..., units].
      rung: the layer; `mean` and `variance` are the statistics of its clean path, [units].
    """
    return (curves - np.asarray(rung.mean)) / np.sqrt(np.asarray(rung.variance) + encoder.EPSILON)


def units_that_bend_most(
    z: np.ndarray, u_values: Sequence[float], curves: np.ndarray, count: int
) -> np.ndarray:
    """The `count` units whose g(z, u) lies farthest, in mean square, from a + b z + c u.

    Args:
      z: [points].
      u_values: values of u.
      curves: g, [values of u, points, units].
      count: how many.

    Returns:
      Numbers of the units, ascending.
    """
    grid_u, grid_z = np.meshgrid(u_values, z, indexing='ij')
    plane = np.stack([np.ones(grid_z.size), grid_z.ravel(), grid_u.ravel()], axis=1)
    values = curves.reshape(grid_z.size, -1).astype(np.float64)
    residual = values - plane @ np.linalg.lstsq(plane, values, rcond=None)[0]
    bend = np.nan_to_num(np.mean(residual**2, axis=0), nan=-1.0, posinf=-1.0)
    return np.sort(np.argsort(-bend, kind='stable')[:count])


def optimal_for_two_modes(
    z: np.ndarray, mode: float = 1.0, spread: float = 0.2, noise: float = 0.6
) -> np.ndarray:
    """The optimal denoising function of Figure 1: E[clean | corrupted] for two modes.

    Args:
      z: corrupted values.
      mode: clean values come from Gaussians at -mode and mode, half from each,
      spread: of this standard deviation.
      noise: standard deviation of the Gaussian noise added to them.
    """
    # One mode alone draws z to m + (z - m) spread^2 / variance; the posterior odds of the upper
    # mode, exp(2 mode z / variance), mix the two.
    variance = spread**2 + noise**2
    shrink = spread**2 / variance
    upper = 1 / (1 + np.exp(-2 * mode * z / variance))
    center = mode * (2 * upper - 1)
    return center + shrink * (z - center)


def _range(values: np.ndarray) -> tuple[float, float]:
    """Lowest and highest value, but for the half per cent at either end."""
    low, high = np.percentile(values, (0.5, 99.5))
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


def _view(z: np.ndarray, curves: np.ndarray) -> tuple[float, float]:
    """The y axis: the identity line and the curves, up to half a width beyond it."""
    width = z[-1] - z[0]
    finite = curves[np.isfinite(curves)]
    low = min(z[0], finite.min(initial=z[0]))
    high = max(z[-1], finite.max(initial=z[-1]))
    return max(low, z[0] - width / 2), min(high, z[-1] + width / 2)
