"""An adapter as a folder of two files, in peft's own format.

    adapter_config.json          r, lora_alpha, lora_dropout, target_modules, …
    adapter_model.safetensors    base_model.model.NAME.lora_A.weight, …lora_B.weight

peft loads what `save_adapter` wrote, and `load_adapter` what peft wrote, bit for bit.
The layers are those that have tensors, whatever `target_modules` says. An option that
this course does not have (DoRA, another rank for some layers, …) is refused.

Read in order: `save_adapter`, `load_adapter`. Taught in notebooks/10.
Source: peft 0.21.2, utils/save_and_load.py and tuners/lora/config.py.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lib.layers.packed import PackedLinear
from lib.train.lora import LoRA
from lib.train.qlora import adapter_parameters, adapters, attach, shape_of

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
# Options that say who made the adapter, how it began and where it goes: no arithmetic.
HARMLESS = {
    *("peft_type", "task_type", "auto_mapping", "peft_version", "revision"),
    *("base_model_name_or_path", "inference_mode"),
    *("exclude_modules", "layers_to_transform", "layers_pattern", "megatron_core"),
    "qalora_group_size",
}
READ = {
    *("r", "lora_alpha", "lora_dropout", "target_modules", "use_rslora"),
    "init_lora_weights",
}
# Beginnings that leave W as it was: PiSSA, OLoRA and others subtract theirs from it.
BEGINNINGS = (None, True, False, "gaussian", "eva", "orthogonal")


def save_adapter(model: nn.Module, folder: Path | str, *, base: str = "") -> None:
    """Write all adapters of the model; each file to a draft first, then renamed.

    `base` names the model that they are for. ValueError where no layer has an adapter.
    """
    layers = adapters(model)
    if not layers:
        raise ValueError("no layer of the model has an adapter")
    config = next(iter(layers.values())).config
    about = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base or None,
        "inference_mode": True,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "target_modules": sorted(config.targets),
        "use_rslora": config.rank_stabilized,
        "bias": "none",
        "fan_in_fan_out": False,
    }
    tensors = {
        f"{PREFIX}{name}.weight": parameter.detach().cpu().contiguous()
        for name, parameter in adapter_parameters(model).items()
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drafts = {
        name: folder / f"{name}.{os.getpid()}.draft" for name in (CONFIG, WEIGHTS)
    }
    drafts[CONFIG].write_text(json.dumps(about, indent=2) + "\n")
    save_file(tensors, drafts[WEIGHTS], metadata={"format": "pt"})
    for name, draft in drafts.items():
        draft.replace(folder / name)


def load_adapter(model: nn.Module, folder: Path | str) -> LoRA:
    """Put the adapters of a folder beside the model's layers, and return their LoRA.

    ValueError where the model has adapters already; for files that are missing, damaged
    or of another kind of adapter; for an option that this course does not have; and for
    tensors that do not fit the model. Then the model is as it was.
    """
    if have := adapters(model):
        raise ValueError(f"the model has {len(have)} adapters already")
    about, tensors = _read(Path(folder))
    pairs = _pairs(tensors)
    modules = dict(model.named_modules())
    linear = [n for n, m in modules.items() if isinstance(m, nn.Linear | PackedLinear)]
    config = _config(about, _targets(about, pairs, linear))
    for name, (A, B) in pairs.items():
        if name not in linear:
            raise ValueError(f"the model has no linear layer {name!r}")
        outputs, inputs = shape_of(modules[name])
        expected = (config.rank, inputs), (outputs, config.rank)
        if (tuple(A.shape), tuple(B.shape)) != expected:
            raise ValueError(
                f"{name}: A {tuple(A.shape)} and B {tuple(B.shape)} are not "
                f"{expected[0]} and {expected[1]}"
            )
    model.requires_grad_(False)
    for name, (A, B) in pairs.items():
        attach(model, name, A.float(), B.float(), config)
    return config


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        about = json.loads((folder / CONFIG).read_text())
        tensors = load_file(folder / WEIGHTS)
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, SafetensorError) as bad:
        raise ValueError(f"{folder.name} holds no adapter of peft's: {bad}") from bad
    if not isinstance(about, dict) or about.get("peft_type") != "LORA":
        raise ValueError(f"{folder.name}/{CONFIG} describes no LoRA adapter")
    return about, tensors


def _targets(about: dict[str, Any], layers: Iterable[str], linear: list[str]) -> Any:
    """`target_modules`, where it names the `layers` and no other; else each by name."""
    listed = about.get("target_modules")
    if isinstance(listed, list) and listed:
        adapts = LoRA(targets=tuple(listed)).adapts
        if {name for name in linear if adapts(name)} == set(layers):
            return listed
    return layers


def _config(about: dict[str, Any], targets: Any) -> LoRA:
    """The options that this course has; ValueError for any other that is in use."""
    for option, value in about.items():
        unused = not value or (option == "bias" and value == "none")
        if option not in HARMLESS | READ and not unused:
            raise ValueError(f"{option}={value!r}: this course has no such option")
    if (begun := about.get("init_lora_weights")) not in BEGINNINGS:
        raise ValueError(f"init_lora_weights={begun!r} changed the base's weights")
    try:
        return LoRA(
            rank=about["r"],
            alpha=about["lora_alpha"],
            dropout=about.get("lora_dropout", 0.0),
            targets=tuple(sorted(targets)),
            rank_stabilized=bool(about.get("use_rslora", False)),
        )
    except (KeyError, TypeError) as bad:
        raise ValueError(f"{CONFIG} lacks or garbles an option: {bad!r}") from bad


def _pairs(tensors: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """(A, B) by the layer's name; ValueError for a tensor that is neither."""
    ends = ".lora_A.weight", ".lora_B.weight"
    for key in tensors:
        if not key.startswith(PREFIX) or not key.endswith(ends):
            raise ValueError(f"{key} is no A and no B of an adapter")
    names = [key.removesuffix(ends[0]) for key in tensors if key.endswith(ends[0])]
    if not names or 2 * len(names) != len(tensors):
        raise ValueError(
            f"{len(tensors)} tensors are not {len(names)} pairs of A and B"
        )
    try:
        return {
            name.removeprefix(PREFIX): (
                tensors[name + ends[0]],
                tensors[name + ends[1]],
            )
            for name in names
        }
    except KeyError as bad:
        raise ValueError(f"there is no {bad} beside its A") from bad
