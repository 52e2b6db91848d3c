"""Members of an ablation that train at once: some seeds, each with some settings."""

from pathlib import Path

import torch

from unchoke.heads.batches import Batches
from unchoke.heads.network import Parameters
from unchoke.heads.optimizer import Optimizer
from unchoke.heads.task import Task
from unchoke.heads.validation import val_scores
from unchoke.training.choose import ended, judge
from unchoke.training.resume import State, StateFile, part_of


class Group:
    """S seeds with L settings each.

    The state's tensors are the parameters ``now.*``, their moments, the kept parameters ``kept.*``, and the scores of
    ``choose.judge``. Its epochs end with a validation: after every pass over the data, or ``validate_every`` steps.
    """

    def __init__(self, task: Task, seeds: list[int], grid: list[tuple[float, float]], states: Path | None) -> None:
        """states: folder of the state files."""
        self.task, self.seeds, self.members = task, seeds, (len(seeds), len(grid))
        self.batches = Batches(task, seeds)
        self.optimizer = Optimizer(task.settings, grid, task.steps, task.device)
        self.file = StateFile(states, task.key(seeds, grid) if states else "")

    def train(self, more: bool) -> Parameters:
        """Kept parameters, scores and curves of the finished training, on the CPU.

        more: other groups will follow, so that the end of this one is worth a save.
        """
        state = self._resumed() or self._begin()
        while not self._is_done(state) and not self.task.stopped.is_set():
            self.run_epoch(state)
            worth_a_save = more if self._is_done(state) else self.file.is_due()
            if worth_a_save:
                self.file.save(state)
        results = {name: tensor for name, tensor in state.tensors.items() if name.startswith("kept.")}
        results |= {"scores": state.tensors["scores"]}
        results |= {name: torch.stack(values) for name, values in state.curves.items()}
        return {name: tensor.cpu() for name, tensor in results.items()}

    def _is_done(self, state: State) -> bool:
        return state.counters["epoch"] >= self.task.epochs or bool(ended(state.tensors).all())

    def _resumed(self) -> State | None:
        state = self.file.load()
        if state is None:
            return None
        print(f"goes on after epoch {state.counters['epoch']} of {self.task.epochs}")
        for name, tensor in state.tensors.items():
            if "." in name:  # scores stay on the CPU
                state.tensors[name] = tensor.to(self.task.device)
        return state

    def _begin(self) -> State:
        drawn = [self.task.first_parameters(seed) for seed in self.seeds]
        tensors = {"scores": torch.full(self.members, torch.nan, dtype=torch.float64)}
        for name in drawn[0]:
            one_S = torch.stack([parameters[name] for parameters in drawn]).to(self.task.device)
            now = one_S.transpose(1, 2)[:, None].repeat(1, self.members[1], 1, 1)
            tensors |= {f"now.{name}": now, f"kept.{name}": now.clone(), **self.optimizer.moments(name, now)}
        return State({"epoch": 0}, tensors)

    def run_epoch(self, state: State) -> None:
        """Take all steps up to the next validation, then validate."""
        begun = state.counters["epoch"] * self.task.every
        steps = range(begun, min(begun + self.task.every, self.task.steps))
        loss_SL = torch.zeros(self.members, device=self.task.device)
        for step, place_SB in zip(steps, self.batches.places(steps), strict=True):
            loss_SL += self._step(state, step, place_SB)
        state.counters["epoch"] += 1
        self._validate(state, loss_SL / len(steps), steps.stop)

    @torch.no_grad()
    def _step(self, state: State, step: int, place_SB: torch.Tensor) -> torch.Tensor:
        """One step of every member; the losses (S, L)."""
        task, now, x_SBD = self.task, part_of(state.tensors, "now"), self.batches.read(place_SB)
        into, beta = self.optimizer.buffers(state.tensors)
        rows = task.y_N[place_SB], task.weight_N[place_SB], task.weight_C
        with torch.autocast(task.device.type, torch.bfloat16, enabled=task.settings["precision"] == "bfloat16"):
            layers = task.network.forward(now, x_SBD)
            loss_SL, slope_SLCB = task.train.target.loss(layers[-1].float(), *rows, task.settings["label_smoothing"])
            task.network.add_gradients(now, x_SBD, layers, slope_SLCB.to(layers[-1].dtype), into, beta)
        self.optimizer.step(state.tensors, step)
        return loss_SL

    @torch.no_grad()
    def _validate(self, state: State, loss_SL: torch.Tensor, step: int) -> None:
        """Score every member, keep parameters as the settings say, extend the curves; step: steps so far."""
        tensors, settings, ended_SL = state.tensors, self.task.settings, ended(state.tensors)
        now = part_of(tensors, "now")
        score_SL = val_scores(self.task, now)
        better_SL = judge(tensors, score_SL, step, settings["keep"], settings["patience"])
        keep_SL11 = better_SL[:, :, None, None].to(self.task.device)
        for name, tensor in now.items():
            torch.where(keep_SL11, tensor, tensors[f"kept.{name}"], out=tensors[f"kept.{name}"])
        values = {"train_loss": loss_SL.cpu(), "val_score": score_SL.float()}
        state.record(**{name: torch.where(ended_SL, torch.nan, value_SL).T for name, value_SL in values.items()})
