"""Training, evaluation and export of a DQN agent (Mnih et al. 2015, Algorithm 1)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import tensorflow as tf

from official.core import checks
from research.dqn import agent as dqn_agent
from research.dqn import evaluation as dqn_evaluation
from research.dqn import play, policy, stages, training


class DqnExperiment(play.AgentExperiment):
    """Learns to play a game.

    A run that is stopped and started again goes on with the same replay memory, games, schedule and
    random numbers: it ends with the same weights. All counts say what they count; an agent step is
    an action chosen by the agent, of `frame_skip` emulator frames. The paper's "frames" are agent
    steps. The defaults are Extended Data Table 1's.

    Args:
      run_dir: see `Experiment`.
      seed: see `Experiment`.
      data_dir: None; the games come with packages.
      strategy: one device, or several between which minibatches are divided.
      environment: makes a `GameEnvironment`, called with num_games=, seed= and, to evaluate, more.
      q_network: called as q_network(num_actions=, seed=), gives a Keras model.
      optimizer: called without arguments.
      agent: called as agent(time_step_spec, action_spec, q_network=, optimizer=, epsilon=, seed=).
      replay: makes a `FrameReplay`, called with frame_shape=, history=, num_streams=, discount=,
        seed=, directory= and slack_frames=.
      epsilon: gives epsilon of an agent step.
      num_games: games played at once in training; the paper has 1.
      train_agent_steps: agent steps in all.
      replay_start_agent_steps: of these, steps of a uniformly random policy before learning starts.
      update_period_agent_steps: agent steps between two parameter updates, "update frequency".
      minibatch_size: transitions in an update.
      clip_rewards: learn from the sign of the rewards.
      overlap: let the emulators play the next step while the agent learns from the steps before;
        otherwise an update sees the step just made, as Algorithm 1 has it.
      save_every_agent_steps: steps between checkpoints and rows of the history.
      evaluate_every_agent_steps: steps between evaluations, a multiple of it; None for none.
      periodic_evaluation: `evaluation.Evaluation` of these.
      final_evaluation: `evaluation.Evaluation` of the reported score.
      report_best: report and export the agent of the best periodic evaluation, else the last one.
      num_held_out_states: states whose average predicted action-value is followed (Fig. 2).
      random_hertz: rates of the random players that the result has beside the agent.
      bfloat16: compute products in bfloat16; weights stay float32.
      jit_compile: compile the update with XLA, where the strategy can.
      replay_dir: local folder in which the replay memory gets a folder of its own; by default it is
        `replay` in the run folder.
      keep_replay: leave it there when the training has ended, to look into.
      film_at_agent_steps: moments of the training at which the agent's play is filmed for the
        report (Supplementary Video 2), each at the first checkpoint from then on.
      reporter: see `ModelExperiment`.
      title: see `ModelExperiment`.

    Raises:
      ValueError: an argument is out of range, evaluations do not fall on checkpoints, or the
        strategy is of several workers.
    """

    # Where its replay memory is gone, a training that goes on fills a new one.
    changeable = (
        *play.AgentExperiment.changeable,
        'train_agent_steps',
        'replay_dir',
        'keep_replay',
        'film_at_agent_steps',
    )

    def __init__(
        self,
        run_dir: str,
        seed: int = 0,
        data_dir: str | None = None,
        strategy: tf.distribute.Strategy | None = None,
        *,
        environment: Callable,
        q_network: Callable,
        optimizer: Callable,
        agent: Callable = dqn_agent.DqnAgent,
        replay: Callable,
        epsilon: Callable = policy.LinearEpsilon(),
        num_games: int = 1,
        train_agent_steps: int = 50_000_000,
        replay_start_agent_steps: int = 50_000,
        update_period_agent_steps: int = 4,
        minibatch_size: int = 32,
        clip_rewards: bool = True,
        overlap: bool = False,
        save_every_agent_steps: int = 50_000,
        evaluate_every_agent_steps: int | None = 250_000,
        periodic_evaluation: dqn_evaluation.Evaluation = dqn_evaluation.Evaluation(
            episodes=None, agent_steps=135_000
        ),
        final_evaluation: dqn_evaluation.Evaluation = dqn_evaluation.Evaluation(),
        report_best: bool = True,
        num_held_out_states: int = 500,
        random_hertz: tuple[int, ...] = (10, 60),
        bfloat16: bool = False,
        jit_compile: bool = False,
        replay_dir: str | None = None,
        keep_replay: bool = False,
        film_at_agent_steps: tuple[int, ...] = (),
        reporter: Callable | None = None,
        title: str = '',
    ):
        checks.positive(
            'DqnExperiment',
            num_games=num_games,
            train_agent_steps=train_agent_steps,
            update_period_agent_steps=update_period_agent_steps,
            minibatch_size=minibatch_size,
            save_every_agent_steps=save_every_agent_steps,
            num_held_out_states=num_held_out_states,
        )
        checks.at_least('DqnExperiment', 0, replay_start_agent_steps=replay_start_agent_steps)
        if evaluate_every_agent_steps is not None:
            checks.positive('DqnExperiment', evaluate_every_agent_steps=evaluate_every_agent_steps)
        for at in film_at_agent_steps:
            checks.positive('DqnExperiment', film_at_agent_steps=at)
        if not callable(epsilon):
            raise ValueError(
                f'DqnExperiment.epsilon = {epsilon!r} must be a function of the agent '
                'step, such as LinearEpsilon.'
            )
        super().__init__(
            run_dir,
            seed,
            data_dir,
            strategy,
            environment=environment,
            q_network=q_network,
            optimizer=optimizer,
            agent=agent,
            num_games=num_games,
            final_evaluation=final_evaluation,
            report_best=report_best and evaluate_every_agent_steps is not None,
            random_hertz=random_hertz,
            bfloat16=bfloat16,
            reporter=reporter,
            title=title,
        )
        if isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise ValueError(
                'DqnExperiment plays in one process; for several hosts there are '
                'ReverbLearner and ReverbActor.'
            )
        if evaluate_every_agent_steps and evaluate_every_agent_steps % save_every_agent_steps:
            raise ValueError(
                f'DqnExperiment.evaluate_every_agent_steps = {evaluate_every_agent_steps} is not a '
                f'multiple of save_every_agent_steps = {save_every_agent_steps}.'
            )

        directory = os.path.join(run_dir, 'replay')
        if replay_dir is not None:  # Several runs may have the same.
            name = os.path.abspath(run_dir).strip('/').replace('/', '_')
            directory = os.path.join(os.path.expanduser(replay_dir), name)

        def make_replay(**arguments):
            height, width, frames = self.env.observation_spec().shape
            return replay(
                frame_shape=(height, width),
                history=frames,
                num_streams=num_games,
                discount=self.agent.discount,
                seed=seed,
                directory=directory,
                **arguments,
            )

        self._training = training.Training(
            run_dir,
            seed,
            self.strategy,
            self.agent,
            self.env,
            make_replay,
            self.exploration,
            epsilon,
            train_agent_steps=train_agent_steps,
            replay_start_agent_steps=replay_start_agent_steps,
            update_period_agent_steps=update_period_agent_steps,
            minibatch_size=minibatch_size,
            clip_rewards=clip_rewards,
            overlap=overlap,
            jit_compile=jit_compile,
            save_every_agent_steps=save_every_agent_steps,
            evaluate_every_agent_steps=evaluate_every_agent_steps,
            keep_replay=keep_replay,
            evaluate=lambda step: self._evaluate_periodically(periodic_evaluation, step),
            held_out=lambda: dqn_evaluation.held_out_states(
                environment, num_held_out_states, play.seed_of(seed, 1)
            ),
            at_checkpoint=lambda step: self._film(film_at_agent_steps, step),
        )
        self._values = tf.function(self.model)

    def train(self) -> None:
        self._training.run()

    def _evaluate_periodically(self, protocol, agent_step):
        return self.play(protocol, play.seed_of(self.seed, 2 + agent_step))

    def _film(self, moments, agent_step):
        # Of several moments that have passed the weights are those of the last.
        at = max((at for at in moments if at <= agent_step), default=None)
        if at is None or stages.is_filmed(self.run_dir, at):
            return
        seed = play.seed_of(self.seed, 1)
        try:
            stages.film(
                self.run_dir,
                at,
                agent_step,
                self.data.make(seed),
                self.actor(self.final_evaluation.epsilon, 1).start(seed),
                self._values,
            )
        except Exception as error:
            # No film is worth a training.
            print(
                f'The film at agent step {agent_step} could not be made: '
                f'{type(error).__name__}: {error}',
                file=sys.stderr,
                flush=True,
            )

    @property
    def step(self) -> int:
        """Agent steps of the weights that the agent has."""
        return self._training.agent_step

    def restore(self, best: bool) -> None:
        self._training.restore(best)
