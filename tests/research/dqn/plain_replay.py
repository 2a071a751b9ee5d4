"""A replay memory as plain lists: every transition of every episode, whole."""

import numpy as np

HEIGHT, WIDTH = 3, 2


def frame(number, stream):
    """A frame that tells which it is; never zero everywhere."""
    return np.full((HEIGHT, WIDTH), 1 + number % 250, np.uint8) + np.array(
        [[0, 0], [0, stream], [number // 250, 0]], np.uint8
    )


class PlainReplay:
    """Episodes of several streams, appended frame by frame.

    Args:
      num_streams: games.
      history: frames in an observation.
      n_step: steps of a transition.
      discount: gamma.
    """

    def __init__(self, num_streams, history, n_step, discount):
        self.history, self.n_step, self.discount = history, n_step, discount
        self.episodes = [[] for _ in range(num_streams)]  # Of a stream: lists of (slot, ...).
        self.slots = 0

    def append(self, frames, actions, rewards, discounts, first):
        for stream, episodes in enumerate(self.episodes):
            if first[stream] or not episodes:
                episodes.append([])
            episodes[-1].append(
                (self.slots, frames[stream], actions[stream], rewards[stream], discounts[stream])
            )
        self.slots += 1

    def transitions(self, oldest):
        """All transitions, by (first slot, stream), whose stack needs no slot before `oldest`."""
        found = {}
        for stream, episodes in enumerate(self.episodes):
            for which, episode in enumerate(episodes):
                for at in range(len(episode) - 1):
                    transition = self._transition(
                        episode, at, is_last_episode=which == len(episodes) - 1
                    )
                    # The memory cannot know of an episode's beginning that was overwritten.
                    if transition and (not oldest or episode[at][0] >= oldest + self.history - 1):
                        found[episode[at][0], stream] = transition
        return found

    def _transition(self, episode, at, is_last_episode):
        reward, factor, k = 0.0, 1.0, 0
        alive = True
        while k < self.n_step and at + k + 1 < len(episode):
            _, _, _, r, d = episode[at + k + 1]
            reward += factor * r if alive else 0.0
            alive = alive and d > 0
            factor *= self.discount
            k += 1
        if k < self.n_step and alive:
            return None  # It was cut off, or the rest is yet to come.
        if k < self.n_step and episode[at][0] + self.n_step > self.slots - 1:
            return None  # Its terminal is there, but the memory looks n slots ahead.
        following = at + self.n_step
        return {
            'observation': self._stack(episode, at),
            'action': episode[at + 1][2],
            'reward': reward,
            'discount': self.discount ** (self.n_step - 1) if alive else 0.0,
            # Behind a terminal the next observation does not count.
            'next_observation': self._stack(episode, following) if alive else None,
        }

    def _stack(self, episode, at):
        zeros = [np.zeros((HEIGHT, WIDTH), np.uint8)] * self.history
        frames = zeros + [entry[1] for entry in episode[: at + 1]]
        return np.stack(frames[-self.history :], axis=-1)


def play(memories, slots, num_streams, seed, episode_length=6.0, cuts=0.2):
    """Appends random episodes with terminals, lost lives and cuts to every memory."""
    random = np.random.default_rng(seed)
    over = np.ones(num_streams, bool)
    for number in range(slots):
        first = over
        frames = np.stack([frame(number, stream) for stream in range(num_streams)])
        actions = random.integers(0, 5, num_streams)
        rewards = random.integers(-1, 2, num_streams).astype(np.float32)
        lost = random.random(num_streams) < 0.1
        over = ~first & (random.random(num_streams) < 1 / episode_length)
        cut = over & (random.random(num_streams) < cuts)
        discounts = np.where((over & ~cut) | (lost & ~over), 0.0, 1.0).astype(np.float32)
        for memory in memories:
            memory.append(frames, actions, rewards, discounts, first)
