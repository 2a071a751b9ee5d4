"""Algorithm 1 of Mnih et al. 2015 in NumPy and float64, one game, written from the paper.

What chance decides is given: the numbers behind every choice of an action, and which transitions an
update draws. All else follows: frames, stacks, rewards, targets, gradients, steps, copies.
"""

import numpy as np


def encode(frame, before, size):
    """phi of one frame (Methods, "Preprocessing"); rounded where it has to be whole numbers."""
    biggest = np.maximum(frame, before).astype(np.float64)
    luminance = np.floor(biggest @ [0.299, 0.587, 0.114] + 0.5)
    height, width = luminance.shape
    out = np.zeros((size, size))
    for y in range(size):
        for x in range(size):
            # Pixels are squares: their centres are at halves.
            row, column = (y + 0.5) * height / size - 0.5, (x + 0.5) * width / size - 0.5
            top, left = int(row), int(column)
            down, right = row - top, column - left
            out[y, x] = (
                (1 - down) * (1 - right) * luminance[top, left]
                + (1 - down) * right * luminance[top, left + 1]
                + down * (1 - right) * luminance[top + 1, left]
                + down * right * luminance[top + 1, left + 1]
            )
    return np.floor(out + 0.5)


class QNetwork:
    """Rectified convolutions without padding, a rectified dense layer, a linear one.

    Args:
      weights: kernel and bias of every layer, kernels [height, width, channels, filters] and
        [inputs, units].
      strides: of the convolutions.
    """

    def __init__(self, weights, strides):
        self.weights = [np.array(weight, np.float64) for weight in weights]
        self.strides = strides

    def _windows(self, x, layer):
        size, stride = self.weights[2 * layer].shape[0], self.strides[layer]
        windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
        return windows[:, ::stride, ::stride]  # [batch, rows, columns, channels, height, width]

    def layers(self, frames):
        """Inputs of every layer, and the values at last."""
        x = np.asarray(frames, np.float64) / 255
        inputs = []
        for layer in range(len(self.strides)):
            inputs.append(x)
            kernel, bias = self.weights[2 * layer : 2 * layer + 2]
            x = np.maximum(
                np.einsum('bijchw,hwcf->bijf', self._windows(x, layer), kernel) + bias, 0
            )
        x = x.reshape(len(x), -1)
        kernel, bias, last_kernel, last_bias = self.weights[-4:]
        inputs += [x, np.maximum(x @ kernel + bias, 0)]
        return inputs, inputs[-1] @ last_kernel + last_bias

    def values(self, frames):
        """Q(s, a), [batch, actions]."""
        return self.layers(frames)[1]

    def gradients(self, frames, of_values):
        """The gradients of all weights, from those of the values."""
        inputs, _ = self.layers(frames)
        hidden = inputs[-1]
        gradients = [hidden.T @ of_values, of_values.sum(0)]
        back = of_values @ self.weights[-2].T * (hidden > 0)
        gradients = [inputs[-2].T @ back, back.sum(0), *gradients]
        back = back @ self.weights[-4].T
        outputs = [*inputs[1 : len(self.strides)], inputs[-2]]
        for layer in reversed(range(len(self.strides))):
            windows, kernel = self._windows(inputs[layer], layer), self.weights[2 * layer]
            shape = *windows.shape[:3], kernel.shape[-1]
            back = back.reshape(shape) * (outputs[layer].reshape(shape) > 0)
            gradients = [
                np.einsum('bijchw,bijf->hwcf', windows, back),
                back.sum((0, 1, 2)),
                *gradients,
            ]
            x, stride = np.zeros_like(inputs[layer]), self.strides[layer]
            for i in range(shape[1]):
                for j in range(shape[2]):
                    x[
                        :,
                        i * stride : i * stride + len(kernel),
                        j * stride : j * stride + len(kernel),
                    ] += np.einsum('bf,hwcf->bhwc', back[:, i, j], kernel)
            back = x
        return gradients


class RMSProp:
    """With averages of gradient and squared gradient (Extended Data Table 1)."""

    def __init__(self, learning_rate, momentum=0.95, squared_momentum=0.95, least=0.01):
        self.learning_rate, self.least = learning_rate, least
        self.momentum, self.squared_momentum = momentum, squared_momentum
        self.averages = None

    def step(self, weights, gradients):
        """Changes the weights."""
        if self.averages is None:
            self.averages = [[np.zeros_like(weight)] * 2 for weight in weights]
        for index, (weight, d) in enumerate(zip(weights, gradients, strict=True)):
            g, squared = self.averages[index]
            g = self.momentum * g + (1 - self.momentum) * d
            squared = self.squared_momentum * squared + (1 - self.squared_momentum) * d**2
            self.averages[index] = g, squared
            weight -= self.learning_rate * d / np.sqrt(squared - g**2 + self.least)


class Algorithm1:
    """The whole of it.

    Args:
      game: a `game.Game`.
      network: the `QNetwork`.
      optimizer: the `RMSProp`.
      draws: called with the number of an action, gives three numbers or rows of them in [0, 1):
        whether to explore, which random action, and the order of equally good ones.
      sampled: numbers of the transitions of each update: that from frame j to j + 1 is j.
      epsilon: of an agent step.
      size: height and width of a frame.
      history: frames in an observation.
      replay_start: agent steps of a random policy.
      update_every: agent steps.
      copy_every: updates.
    """

    def __init__(
        self,
        game,
        network,
        optimizer,
        draws,
        sampled,
        epsilon,
        *,
        size,
        history,
        replay_start,
        update_every,
        copy_every,
        frame_skip=4,
        discount=0.99,
    ):
        self.game, self.network, self.optimizer = game, network, optimizer
        self.target = QNetwork(network.weights, network.strides)
        self.draws, self.sampled, self.epsilon = draws, sampled, epsilon
        self.size, self.history, self.frame_skip = size, history, frame_skip
        self.replay_start, self.update_every = replay_start, update_every
        self.copy_every, self.discount = copy_every, discount
        # The memory: frames, and of each the action, clipped reward and discount that led to it.
        self.frames, self.steps = [], []
        self.errors, self.losses = [], []

    def _see(self, screen, before, action, reward, discount, first):
        self.frames.append(encode(screen, before, self.size))
        self.steps.append((action, reward, discount, first))

    def _stack(self, number):
        stack = []
        for k in range(number, number - self.history, -1):
            stack.insert(0, self.frames[k])
            if self.steps[k][3]:
                break
        zeros = [np.zeros((self.size, self.size))] * (self.history - len(stack))
        return np.stack([*zeros, *stack], axis=-1)

    def _screen(self):
        screen = np.zeros(self.game.screen_shape, np.uint8)
        self.game.screen(screen)
        return screen

    def run(self, agent_steps):
        """Plays and learns."""
        chosen = step = 0
        over = True
        while step < agent_steps:
            if over:  # An episode begins; the action of this moment, if any, is of no effect.
                chosen += step > 0
                self.game.reset()
                screen = self._screen()
                self._see(screen, screen * 0, 0, 0, 1, True)
                over, lives = False, self.game.lives()
                continue
            explore, which, order = self.draws(chosen)
            chosen += 1
            values = self.network.values(self._stack(len(self.frames) - 1)[None])[0]
            if explore < (1.0 if step < self.replay_start else self.epsilon(step)):
                action = int(which * len(values))
            else:
                best = np.flatnonzero(values == values.max())
                action = int(best[np.argmax(order[best])])
            score = 0
            for _ in range(self.frame_skip):
                score += self.game.act(action)
                before, screen = screen, self._screen()
                over = self.game.is_over()
                if over:
                    break
            step += 1
            terminal = over or self.game.lives() < lives
            lives = self.game.lives()
            self._see(screen, before, action, max(-1, min(1, score)), float(not terminal), False)
            while len(self.errors) < (step - self.replay_start) // self.update_every:
                self._update()

    def _update(self):
        numbers = self.sampled[len(self.errors)]
        states = np.stack([self._stack(j) for j in numbers])
        following = np.stack([self._stack(j + 1) for j in numbers])
        action, reward, discount, _ = (
            np.array(column) for column in zip(*(self.steps[j + 1] for j in numbers), strict=True)
        )
        y = reward + self.discount * discount * self.target.values(following).max(axis=1)
        values = self.network.values(states)
        rows = np.arange(len(numbers))
        error = y - values[rows, action.astype(int)]
        self.errors.append(error)
        inside = np.minimum(abs(error), 1)
        self.losses.append(np.sum(inside * (abs(error) - inside / 2)))
        of_values = np.zeros_like(values)
        of_values[rows, action.astype(int)] = -np.clip(error, -1, 1)  # Summed over the minibatch.
        self.optimizer.step(self.network.weights, self.network.gradients(states, of_values))
        if len(self.errors) % self.copy_every == 0:
            self.target = QNetwork(self.network.weights, self.network.strides)
