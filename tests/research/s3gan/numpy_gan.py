"""Lucic et al. 2019 in NumPy, float64: both networks (App. B) and the losses of both players.

Written from the paper and shares no code with the product. Weights are named as in Tables 10 and
11. Every spectral norm is sigma = v W u^T with u and v given, through which no gradient passes
(Miyato et al. 2018, Eq. 12), so finite differences of the losses are the gradients of training.
"""

import numpy as np

ROTATIONS = 4


def power_iteration(kernel, u):
    """v and the next u of a kernel [..., outputs] (Miyato et al. 2018, Algorithm 1)."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    v = u @ matrix.T
    v = v / np.linalg.norm(v)
    u = v @ matrix
    return v, u / np.linalg.norm(u)


def conv(x, kernel, bias=0.0):
    """A convolution of stride 1 with zeros around the image."""
    size = kernel.shape[0]
    pad = size // 2
    _, height, width, _ = x.shape
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    return bias + sum(
        x[:, row : row + height, column : column + width] @ kernel[row, column]
        for row in range(size)
        for column in range(size)
    )


def relu(x):
    return np.maximum(x, 0)


def up(x):
    return x.repeat(2, 1).repeat(2, 2)


def pooled(x, function):
    n, height, width, channels = x.shape
    return function(x.reshape(n, height // 2, 2, width // 2, 2, channels), axis=(2, 4))


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


class Networks:
    """Both networks with given weights.

    Args:
      weights: Arrays by the names of Tables 10 and 11.
      singular: u and v of every spectrally normalized kernel, by its name without '/kernel'.
    """

    def __init__(self, weights, singular):
        self.weights = {name: np.asarray(value, np.float64) for name, value in weights.items()}
        self.singular = singular
        self.statistics = {}

    def kernel(self, name):
        kernel = self.weights[f'{name}/kernel']
        if name not in self.singular:
            return kernel
        v, u = self.singular[name]
        return kernel / (v @ kernel.reshape(-1, kernel.shape[-1]) @ u.T).item()

    def layer(self, x, name):
        """A dense layer, or a convolution."""
        kernel, bias = self.kernel(name), self.weights.get(f'{name}/bias', 0.0)
        return conv(x, kernel, bias) if kernel.ndim == 4 else x @ kernel + bias

    def normalized(self, x, name):
        """Batch normalization without gain and shift; keeps the statistics of the batch."""
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        self.statistics[name] = mean, variance
        return (x - mean) / np.sqrt(variance + 1e-5)

    def non_local(self, x, name):
        n, height, width, channels = x.shape
        flat = lambda y: y.reshape(n, -1, y.shape[-1])
        theta = flat(self.layer(x, f'{name}/conv2d_theta'))
        phi, g = (
            flat(pooled(self.layer(x, f'{name}/conv2d_{part}'), np.max)) for part in ('phi', 'g')
        )
        attention = np.exp(log_softmax(theta @ phi.transpose(0, 2, 1)))
        attended = (attention @ g).reshape(n, height, width, channels // 2)
        return x + self.weights[f'{name}/sigma'] * self.layer(attended, f'{name}/conv2d_attn_g')

    def generator(self, z, y, blocks, attention_after):
        """Tables 6 and 9; images in [0, 1], by the statistics of the batch."""
        first, *chunks = np.split(z, blocks + 1, axis=1)
        embedded = self.weights['generator/embed_y/kernel'][y]
        x = self.layer(first, 'generator/fc_noise').reshape(len(z), 4, 4, -1)
        for number, chunk in enumerate(chunks, 1):
            block, condition = f'generator/B{number}', np.concatenate([chunk, embedded], 1)

            def norm(x, name):
                gain, shift = (
                    self.layer(condition, f'{name}/condition/{part}')[:, None, None]
                    for part in ('gamma', 'beta')
                )
                return (1 + gain) * self.normalized(x, name) + shift

            h = self.layer(up(relu(norm(x, f'{block}/bn1'))), f'{block}/up_conv1')
            h = self.layer(relu(norm(h, f'{block}/bn2')), f'{block}/same_conv2')
            x = h + self.layer(up(x), f'{block}/up_conv_shortcut')
            if number == attention_after:
                x = self.non_local(x, 'generator/non_local_block')
        name = 'generator/final_norm'
        x = self.weights[f'{name}/gamma'] * self.normalized(x, name) + self.weights[f'{name}/beta']
        return (np.tanh(self.layer(relu(x), 'generator/final_conv')) + 1) / 2

    def features(self, x, blocks, attention_after):
        """D~ of images: Tables 7 and 8, without batch norm, as Table 10."""
        for number in range(1, blocks + 1):
            block, last = f'discriminator/B{number}', number == blocks
            h = self.layer(relu(x), f'{block}/same_conv1')
            h = self.layer(relu(h), f'{block}/same_conv2' if last else f'{block}/down_conv2')
            h = h if last else pooled(h, np.mean)
            if f'{block}/down_conv_shortcut/kernel' in self.weights:
                h = h + pooled(self.layer(x, f'{block}/down_conv_shortcut'), np.mean)
            x = h
            if number == attention_after:
                x = self.non_local(x, 'discriminator/non_local_block')
        return relu(x).sum((1, 2))

    def judged(self, features, y):
        """D(x, y) = c_rf(D~(x)) + D~(x)^T W y (Sec. 3) of probabilities y, [n, classes]."""
        plain = self.layer(features, 'discriminator/final_fc')[:, 0]
        if 'discriminator_projection/kernel' not in self.weights:
            return plain
        return plain + (features * self.layer(y, 'discriminator_projection')).sum(1)

    def rotation_loss(self, x, **sizes):
        """Eq. (1): the mean over rotations of the mean over images."""
        return -np.mean(
            [
                log_softmax(
                    self.layer(
                        self.features(np.rot90(x, r, (1, 2)), **sizes),
                        'discriminator_rotation/score_classify',
                    )
                )[:, r].mean()
                for r in range(ROTATIONS)
            ]
        )

    def predicted(self, features):
        return self.layer(features, 'discriminator_predictor/predictor_linear')

    def discriminator_loss(self, real, labels, soft, fake, y, rotated, beta, lambda_, **sizes):
        """Eqs. (3) and (4), the hinge of real images being one mean over all; L_D of Sec. 3.1.

        Args:
          real: Images in [0, 1].
          labels: int [n], -1 for none.
          soft: Labels that the projection gets, [n, classes]; no gradient passes through them.
          fake: Generated images.
          y: Their labels, int [n].
          rotated: Indices of the real images that are rotated; none: there is no Eq. (4).
          beta: Weight of Eq. (4).
          lambda_: Weight of the cross-entropy; None: there is none.
          **sizes: See `features`.
        """
        of_real = self.features(real, **sizes)
        loss = -np.minimum(0, -1 + self.judged(of_real, soft)).mean()
        one_hot = np.eye(soft.shape[1])[y]
        loss -= np.minimum(0, -1 - self.judged(self.features(fake, **sizes), one_hot)).mean()
        if lambda_ is not None:
            known = np.flatnonzero(labels >= 0)
            log_p = log_softmax(self.predicted(of_real))
            loss -= lambda_ * log_p[known, labels[known]].mean()
        if rotated:
            loss += beta * self.rotation_loss(real[rotated], **sizes)
        return loss

    def generator_loss(self, fake, y, classes, rotated, alpha, **sizes):
        """L_G of Sec. 3.1 with Eq. (5); see `discriminator_loss`."""
        loss = -self.judged(self.features(fake, **sizes), np.eye(classes)[y]).mean()
        if rotated:
            loss += alpha * self.rotation_loss(fake[rotated], **sizes)
        return loss
