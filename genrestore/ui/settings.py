"""The settings of a training as fields of the page: which there are, how they begin, and the recipe that they make."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import gradio as gr

from genrestore.augment import AUGMENT
from genrestore.errors import TrainingError
from genrestore.recipe import OPTIMIZERS, PRECISIONS, SCHEDULES, TrainRecipe
from genrestore.ui.words import Words

MAIN = ("minutes",)
ADVANCED = {
    "course": ("steps", "batch", "holdout", "check"),
    "rate": ("optimizer", "lr", "schedule", "warmup", "clip", "ema"),
    "simple": ("weight_decay", "l1", "dropout"),
    "losses": ("loss", "beta", "beta_warmup", "r1"),
    "end": ("patience", "until"),
    "computing": ("precision", "seed"),
    "pictures": ("augment",),
}
NAMES = (*MAIN, *(name for names in ADVANCED.values() for name in names))
LOSSES = (
    "l1",
    "l2",
    "bce",
    "log-mse",
    "non-saturating",
    "hinge",
)  # of all nets; which of them a net has, it says itself
CHOICES = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "precision": PRECISIONS}
AUGMENTATIONS = [name if step.number is None else f"{name}:{step.number:g}" for name, step in AUGMENT.items()]
USUAL = TrainRecipe()

W = Words(
    "settings",
    {
        "course": ("How much", "训练量"),
        "steps": ("Steps", "步数"),
        "steps_hint": ("Batches to learn from; more is better, and longer.", "训练的批次数，越多越好，也越久。"),
        "minutes": ("Minutes at most", "最长训练时间（分钟）"),
        "minutes_hint": ("It ends then with what it has learnt; 0 is no limit.", "到时即结束，并保留已学到的结果；0 为不限。"),
        "batch": ("Batch", "批大小"),
        "holdout": ("Kept aside", "留出比例"),
        "holdout_hint": (
            "Share of the pictures that the model is measured on and never trained on, such as 0.1.",
            "不参与训练、仅用于评测的图片比例，例如 0.1。",
        ),
        "batch_hint": ("Pictures in one step; more of them need more memory.", "每步的图片数，越多占用内存越大。"),
        "rate": ("Learning", "学习"),
        "optimizer": ("Optimizer", "优化器"),
        "optimizer_hint": ("How a gradient becomes a step.", "由梯度得到更新的方法。"),
        "lr": ("Learning rate", "学习率"),
        "lr_hint": ("Size of a step; if it is too large, the loss jumps.", "每步的幅度，过大时损失会剧烈跳动。"),
        "schedule": ("Schedule", "学习率曲线"),
        "schedule_hint": ("How the rate changes over the steps.", "学习率随步数的变化方式。"),
        "warmup": ("Warm-up", "预热"),
        "warmup_hint": ("Steps in which the rate rises from 0.", "学习率从 0 升到设定值所用的步数。"),
        "clip": ("Gradient clipping", "梯度裁剪"),
        "clip_hint": ("Largest norm of a gradient; 0 is no limit.", "梯度范数上限，0 为不限。"),
        "ema": ("Average", "权重平均"),
        "ema_hint": ("Decay of the moving average that becomes the model; 0 is none.", "滑动平均的衰减系数，0 为不用。"),
        "simple": ("Regularisation", "正则化"),
        "weight_decay": ("Weight decay", "权重衰减"),
        "weight_decay_hint": ("L2 pull of the weights towards 0.", "权重的 L2 惩罚。"),
        "l1": ("L1", "L1"),
        "l1_hint": ("Weight of the sum of all |w|.", "所有 |w| 之和的系数。"),
        "dropout": ("Dropout", "随机失活"),
        "dropout_hint": ("Share of the features that is dropped in a step.", "每步随机丢弃的特征比例。"),
        "losses": ("Loss", "损失"),
        "loss": ("Loss", "损失函数"),
        "loss_hint": ("What the training lowers; not every model takes each.", "训练要降低的量；各模型支持的种类不同。"),
        "own": ("The model's own", "模型默认"),
        "beta": ("Beta", "Beta"),
        "beta_hint": ("Weight of the KL term (VAE).", "KL 项的权重（VAE）。"),
        "beta_warmup": ("Beta warm-up", "Beta 预热"),
        "beta_warmup_hint": ("Steps in which beta rises from 0 (VAE).", "Beta 从 0 升到设定值所用的步数（VAE）。"),
        "r1": ("R1", "R1"),
        "r1_hint": ("Weight of the critic's gradient penalty (GAN); 0 is none.", "判别器梯度惩罚的权重（GAN），0 为不用。"),
        "end": ("Ending early", "提前结束"),
        "patience": ("Patience", "耐心"),
        "patience_hint": ("Measurements without a better score; 0 is no limit.", "评测未改善的次数上限，0 为不限。"),
        "until": ("Until the loss is", "直到损失降至"),
        "until_hint": ("Ends once the loss has fallen to this; 0 is never.", "损失降到此值即结束，0 为不限。"),
        "check": ("Measure every", "评测间隔"),
        "check_hint": ("Steps between two measurements on what is kept aside.", "两次留出评测之间的步数。"),
        "computing": ("Computing", "计算"),
        "precision": ("Precision", "精度"),
        "precision_hint": ("Auto takes bf16 where that is faster.", "auto：若 bf16 更快则使用。"),
        "seed": ("Seed", "种子"),
        "seed_hint": ("Where the randomness starts; the same gives the same model.", "随机数的起点，相同则结果相同。"),
        "pictures": ("Augmentation", "数据增强"),
        "augment": ("Changes to each picture", "对每张图片的变换"),
        "augment_hint": (
            "Made at random in this order, so that few pictures teach more; a colon gives the strength, as in rotate:10.",
            "按此顺序随机进行，使少量图片也能发挥更大作用；冒号后为强度，例如 rotate:10。",
        ),
    },
)  # fmt: skip


def field(name: str) -> Any:
    """The component of one setting, with its name and one line that explains it."""
    common: dict[str, Any] = {"label": W(name), "info": W(f"{name}_hint"), "elem_id": f"train-{name.replace('_', '-')}"}
    start = getattr(USUAL, name)
    if name in CHOICES:
        return gr.Dropdown(list(CHOICES[name]), value=start, min_width=150, **common)
    if name == "loss":
        return gr.Dropdown([(W("own"), ""), *((loss, loss) for loss in LOSSES)], value=start, min_width=150, **common)
    if name == "augment":
        return gr.Dropdown(AUGMENTATIONS, value=list(start), multiselect=True, allow_custom_value=True, **common)
    return gr.Number(start, precision=0 if isinstance(start, int) else None, min_width=150, **common)


def values(recipe: TrainRecipe) -> list[Any]:
    """What the fields of NAMES show for a recipe."""
    shown = (getattr(recipe, name) for name in NAMES)
    return [list(value) if isinstance(value, tuple) else value for value in shown]


def recipe(base: TrainRecipe, given: Sequence[Any], **more: Any) -> TrainRecipe:
    """`base` with what the fields of NAMES say, and `more`.

    Raises:
        TrainingError: a field is empty, or its value is out of its range.
    """
    said = {name: _read(name, value) for name, value in zip(NAMES, given, strict=True)}
    return dataclasses.replace(base, **said, **more)


def _read(name: str, value: Any) -> Any:
    if name == "augment":
        return tuple(str(step).strip() for step in value or ())
    kind = type(getattr(USUAL, name))
    if kind is str:
        return value or ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TrainingError(f"{name} needs a number; fill it in, or choose the model again to put all settings back.")
    return kind(value)
