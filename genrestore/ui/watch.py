"""The runs as the Train tab shows them: what the browser (watch.js) asks once a second, and what it may order.

A run is addressed by its name among this user's runs, never by a path. Every question first checks who asks.
"""

import base64
import dataclasses
import math
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import gradio as gr

import genrestore
from genrestore import errors, tasks
from genrestore.card import Card
from genrestore.errors import GenrestoreError, ModelError, TrainingError
from genrestore.paths import home
from genrestore.recipe import TrainRecipe
from genrestore.training import judge, runs
from genrestore.training.runs import Run, Status
from genrestore.ui import about, picker
from genrestore.ui.access import Access
from genrestore.ui.said import said
from genrestore.ui.words import Words

POINTS = 1500  # of one curve that are sent at once
EVENTS = 50  # that are sent at once

W = Words(
    "watch",
    {
        "runs": ("Trainings", "训练列表"),
        "empty": ("Nothing has been trained here yet.", "这里还没有训练过模型。"),
        "empty_hint": (
            "Drop a folder of pictures above, choose what to train and press Train. "
            "You may close this page meanwhile: the training goes on, and you find it here again.",
            "将图片文件夹拖到上方，选择要训练的模型，再点“开始训练”。期间可关闭页面：训练会继续，回来仍可在此查看。",
        ),
        "preparing": ("preparing", "准备中"),
        "training": ("training", "训练中"),
        "paused": ("paused", "已暂停"),
        "done": ("done", "已完成"),
        "stopped": ("stopped", "已停止"),
        "failed": ("failed", "失败"),
        "lost": ("interrupted", "已中断"),
        "pausing": ("pausing …", "正在暂停…"),
        "stopping": ("stopping …", "正在停止…"),
        "pause": ("Pause", "暂停"),
        "resume": ("Resume", "继续"),
        "stop": ("Stop", "停止"),
        "stop_hint": ("End here and keep the model as it is now", "在此结束，保留当前的模型"),
        "open": ("Open in {tab}", "在“{tab}”中打开"),
        "weight": ("Download the model", "下载模型"),
        "delete": ("Delete", "删除"),
        "really": ("Really delete?", "确认删除？"),
        "step": ("Step", "步数"),
        "of": ("{step} of {steps}", "{step} / {steps}"),
        "speed": ("Pictures per second", "每秒图片数"),
        "lr": ("Learning rate", "学习率"),
        "spent": ("Time spent", "已用时间"),
        "left": ("Time left", "剩余时间"),
        "hours": ("{h} h {m} min", "{h} 小时 {m} 分"),
        "minutes": ("{m} min {s} s", "{m} 分 {s} 秒"),
        "seconds": ("{s} s", "{s} 秒"),
        "progress": ("Progress of {name}", "{name} 的进度"),
        "losses": ("Loss", "损失"),
        "log": ("Logarithmic", "对数刻度"),
        "smooth": ("Smooth", "平滑"),
        "kept": ("kept aside", "留出集"),
        "chart": ("{what} of {name}; arrow keys read it step by step", "{name} 的{what}，可用方向键逐步查看"),
        "psnr": ("PSNR on what is kept aside, dB", "留出集 PSNR（dB）"),
        "ssim": ("SSIM on what is kept aside", "留出集 SSIM"),
        "swd": ("Distance to what is kept aside (SWD)", "与留出集的距离（SWD）"),
        "quiet": ("The first numbers come in a moment.", "首批数据即将出现。"),
        "samples": ("What it draws", "生成效果"),
        "samples_other": ("Input, result, original", "输入、结果、原图"),
        "samples_at": ("Step {step}", "第 {step} 步"),
        "samples_none": ("The first picture comes in a moment.", "首张图片即将出现。"),
        "samples_slide": ("Step of the picture", "图片所属的步数"),
        "samples_picture": ("Pictures of {name} at step {step}", "{name} 在第 {step} 步的图片"),
        "nearest": ("Learnt by heart?", "是否死记硬背？"),
        "nearest_picture": (
            "Above what {name} drew, below the nearest training picture of each",
            "上排为 {name} 所生成，下排为各自最接近的训练图片",
        ),
        "nearest_hint": (
            "{percent} % of {n} drawn pictures copy a training picture: they are three times as near to it as to the next one. "
            "0 % is good. Above: the most suspicious ones, below: the training picture nearest to each.",
            "在 {n} 张生成图片中，有 {percent}% 在照抄训练图片：与最近一张的距离不到与次近一张的三分之一。0% 为佳。"
            "上排：最可疑的生成图片，下排：各自最接近的训练图片。",
        ),
        # how it goes: the codes of `judge`
        "how_early": (
            "Too early to say how it goes: {steps} steps are done.",
            "现在判断还为时过早：已完成 {steps} 步。",
        ),
        "how_copying": (
            "It learns by heart: {share} of what it draws copies a training picture. Stop it, or give it more pictures.",
            "它在死记硬背：生成的图片中有 {share} 在照抄训练图片。请停止，或增加图片。",
        ),
        "how_critic-ahead": (
            "The critic is far ahead (its loss is only {critic}), so that the generator learns little. "
            "Begin anew with R1 at 1, or with a lower learning rate.",
            "判别器遥遥领先（损失仅 {critic}），生成器学不到多少。请将 R1 设为 1 或降低学习率后重新开始。",
        ),
        "how_rising": (
            "The loss rises, from {before} to {now}. If it goes on, begin anew with a lower learning rate.",
            "损失在上升：从 {before} 到 {now}。若持续如此，请降低学习率后重新开始。",
        ),
        "how_overfitting": (
            "It gets better only on what it has seen: on the pictures kept aside, {name} was best at step {step} "
            "({best}, now {now}). Stop it, or give it more pictures.",
            "它只在见过的图片上变好：在留出的图片上，{name} 于第 {step} 步最佳（{best}，现为 {now}）。请停止，或增加图片。",
        ),
        "how_improving": (
            "It goes well: on the pictures kept aside, {name} went from {first} to {now}.",
            "进展良好：在留出的图片上，{name} 从 {first} 变为 {now}。",
        ),
        "how_falling": (
            "It goes well: the loss still falls, from {first} to {now} so far.",
            "进展良好：损失仍在下降，目前从 {first} 降到 {now}。",
        ),
        "how_settled": (
            "It hardly changes any more: on the pictures kept aside, {name} was best at step {step} ({best}, now {now}).",
            "已基本不再变化：在留出的图片上，{name} 于第 {step} 步最佳（{best}，现为 {now}）。",
        ),
        "how_flat": (
            "The loss falls no longer; it stays at {now}. More steps will change little.",
            "损失不再下降，停在 {now}。继续训练变化不大。",
        ),
        "how_balanced": (
            "Generator and critic hold each other, as they should. How good it is, its pictures tell, not these numbers.",
            "生成器与判别器势均力敌，这是应有的状态。好坏要看图片，而不是这些数字。",
        ),
        "of_loss": ("the loss", "损失"),
        "of_psnr": ("PSNR", "PSNR"),
        "of_ssim": ("SSIM", "SSIM"),
        "of_swd": ("the distance (SWD)", "距离（SWD）"),
        "unripe": (
            "The other tabs offer it from step {steps} on; until then its pictures mean nothing.",
            "从第 {steps} 步起才会出现在其他标签页；在那之前，它的图片还没有意义。",
        ),
        "events": ("What happened", "事件"),
        "no_answer": ("No answer from the server; trying again.", "服务器没有响应，正在重试。"),
    },
)


def build(access: Access) -> gr.HTML:
    """The panel, inside the layout that is open. Its value is {"run": name}: the run to show, or the one to open elsewhere."""
    here = Path(__file__)
    return gr.HTML(
        html_template=here.with_suffix(".html").read_text("utf-8"),
        css_template=here.with_suffix(".css").read_text("utf-8"),
        js_on_load=here.with_suffix(".js").read_text("utf-8"),
        server_functions=[guarded(access, question) for question in (look, picture, order, weight)],
        apply_default_css=False,
        elem_id="watch",
        words=W.both(),
    )


def guarded(access: Access, question: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """A server function that answers those only who may train; an error becomes {"problem": sentence}."""

    def answer(data: Any, profile: gr.OAuthProfile | None, request: gr.Request) -> dict[str, Any]:
        try:
            access.check(profile, request)
            return question(cast("dict[str, Any]", data) if isinstance(data, dict) else {})
        except GenrestoreError as problem:
            return {"problem": said(problem)}

    answer.__name__ = question.__name__
    return answer


# ---- what the browser may ask ----


def look(data: dict[str, Any]) -> dict[str, Any]:
    """All runs in short, and the one that `data` names in full; an unknown name or none takes the newest.

    `data["from"]` is where in the log of `data["run"]` the last answer ended, so that a log of any length is sent once.
    """
    found = {run.name: run for run in runs.every()}
    states = {name: run.status() for name, run in found.items()}
    answer: dict[str, Any] = {"runs": [_short(run, states[name]) for name, run in found.items()]}
    if found:
        asked = data.get("run")
        name = asked if isinstance(asked, str) and asked in found else next(iter(found))
        start = data.get("from") if name == asked else 0
        answer["run"] = _full(found[name], states[name], start if isinstance(start, int) and start >= 0 else 0)
    return answer


def picture(data: dict[str, Any]) -> dict[str, Any]:
    """The picture that a run drew at `data["step"]`, or that of its nearest training pictures where the step is "nearest"."""
    run, step = find(data), data.get("step")
    paths = dict(run.samples())
    path = run.folder / "nearest.webp" if step == "nearest" else paths.get(step) if isinstance(step, int) else None
    if path is None or not path.is_file():
        raise TrainingError("This picture is no longer there; choose another step.")
    return {"url": f"data:image/webp;base64,{base64.b64encode(path.read_bytes()).decode()}"}


def order(data: dict[str, Any]) -> dict[str, Any]:
    """Pause, resume, stop or delete a run."""
    run, word = find(data), data.get("word")
    live = run.status().live
    if word in ("pause", "stop") and live:
        run.ask(word)
    elif word == "resume" and live:
        runs.go_on(run)
    elif word == "resume":
        recipe, pictures = run.recipe()
        runs.start(run.name, recipe, pictures, resume=True)
    elif word == "delete" and not live:
        shutil.rmtree(run.folder)
        shutil.rmtree(kept(run.name), ignore_errors=True)
    else:
        raise TrainingError(
            f"{run.name} {'is being trained; stop it first' if live else 'has ended; resume it first'}."
        )
    return {}


def weight(data: dict[str, Any]) -> dict[str, Any]:
    """Where the browser finds the file of a run's weight, under the run's name."""
    run = find(data)
    path = run.folder / "model.safetensors"
    if not path.is_file():
        raise TrainingError(f"{run.name} has no weight yet; wait for its first checkpoint.")
    gr.set_static_paths([path])
    return {"url": about.address(path), "name": f"{run.name}.safetensors"}


def find(data: object) -> Run:
    """The run that `data["run"]` names.

    Raises:
        ModelError: none of this user's has that name.
    """
    name = cast("dict[str, Any]", data).get("run") if isinstance(data, dict) else None
    known = {run.name: run for run in runs.every()}
    if not isinstance(name, str) or name not in known:
        raise errors.unknown("training", str(name)[:64], known, "Choose one from the list.")
    return known[name]


def kept(name: str) -> Path:
    """The folder of the pictures that were uploaded for a run: Gradio forgets them, and a resumed run needs them."""
    return home() / "pictures" / name


# ---- what is answered ----


def _short(run: Run, status: Status) -> dict[str, Any]:
    begun = (run.folder / "recipe.json").stat().st_mtime
    return {"name": run.name, "state": status.state, "step": status.step, "steps": status.steps, "begun": begun}


def _full(run: Run, status: Status, start: int) -> dict[str, Any]:
    lines, begin, end = run.log_from(start)
    nearest = run.nearest()
    drawn = run.folder / "nearest.webp"
    facts = {key: getattr(status, key) for key in ("state", "step", "steps", "seconds", "left", "speed", "lr")}
    return {
        **_finite(facts),
        "message": said(status.message),
        "name": run.name,
        "asked": run.asked(),
        "how": _judged(run.folder, (run.folder / "recipe.json").stat().st_mtime_ns).now(),
        **_model(run),
        "lines": [_told(line) for line in _finite(_thinned(lines))],
        "from": end,
        "anew": begin == 0,  # the lines are all that there are
        "samples": [step for step, _ in run.samples()],
        "nearest": _finite(nearest) if nearest and drawn.is_file() else None,
    }


class _Judged:
    """The verdict on a run, made anew where its log has grown. A long log is read once, and thinly remembered."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.lock = threading.Lock()
        self.end = -1  # of the log as it was judged
        self.steps: list[dict[str, Any]] = []  # every `stride`-th line of losses
        self.others: list[dict[str, Any]] = []
        self.stride = 1
        self.count = 0  # of all lines of losses
        self.verdict: dict[str, Any] = {}

    def now(self) -> dict[str, Any]:
        with self.lock:
            lines, begin, end = self.run.log_from(max(0, self.end))
            if begin == 0:
                self.steps, self.others, self.stride, self.count = [], [], 1, 0
            if end != self.end:
                self._remember(lines)
                self.verdict = dataclasses.asdict(judge.judge([*self.steps, *self.others], self._recipe()))
            self.end = end
            return self.verdict

    def _remember(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if "losses" not in line:
                self.others.append(line)
                continue
            if self.count % self.stride == 0:
                self.steps.append(line)
            self.count += 1
            if len(self.steps) > POINTS:
                self.steps, self.stride = self.steps[::2], 2 * self.stride

    def _recipe(self) -> TrainRecipe | None:
        with suppress(TrainingError):
            return self.run.recipe()[0]
        return None  # what was asked is no longer known


@lru_cache(maxsize=32)
def _judged(folder: Path, begun: int) -> _Judged:
    """Of the run in `folder` that was begun then; another one of its name is another run."""
    return _Judged(Run(folder))


def _model(run: Run) -> dict[str, Any]:
    """What the run's model is for, once it has a weight, else nothing; and the step from which the page offers it, if later."""
    with suppress(ModelError):
        card = Card.read(run.folder)
        if card.weights.is_file() and card.name in [other.name for other in genrestore.list_models(card.task)]:
            tab = tasks.find(tasks.find(card.task).tab)
            return {
                "tab": tab.name,
                "title": said(tab.title),
                "invents": tasks.find(card.task).invents,
                "unripe": 0 if picker.ripe(card) else picker.RIPE,
            }
    return {"tab": "", "title": "", "invents": True, "unripe": 0}


def _thinned(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every n-th step and measurement, so that POINTS of each are left, with the last ones and the last events."""
    steps = [line for line in lines if "losses" in line]
    measured = [line for line in lines if "holdout" in line]
    events = [line for line in lines if "event" in line]
    few = [*_few(steps), *_few(measured), *events[-EVENTS:]]
    return sorted(few, key=lambda line: line.get("step", 0)) if len(few) < len(lines) else lines


def _told(line: dict[str, Any]) -> dict[str, Any]:
    """A line of the log in the visitor's language: what happened, and whom a loss belongs to."""
    if "event" in line:
        return line | {"event": said(line["event"])}
    return (
        line | {"losses": {said(name): value for name, value in line["losses"].items()}} if "losses" in line else line
    )


def _few(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most POINTS, evenly spread, the last one among them."""
    apart = math.ceil(len(lines) / POINTS) or 1
    return lines[::-1][::apart][::-1]


def _finite(value: Any) -> Any:
    """`value` as JSON for a browser, which has no number for what is none."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_finite(part) for part in cast("list[Any]", value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value
