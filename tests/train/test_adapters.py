"""Adapters in peft's format: there and back through our files, and through peft."""

import json
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib.train.adapters import CONFIG, PREFIX, WEIGHTS, load_adapter, save_adapter
from lib.train.lora import LoRA
from lib.train.qlora import adapter_parameters, adapters, add_adapters, quantize_base

IDS = torch.arange(24).view(2, 12)
CONFIGS = [
    LoRA(rank=3, alpha=12),
    LoRA(rank=4, alpha=8, dropout=0.1, targets=("q_proj", "mlp.down_proj")),
    LoRA(rank=4, alpha=8, targets=("v_proj",), rank_stabilized=True),
]


def tuned(model, config):
    add_adapters(model, config)
    draw = torch.Generator().manual_seed(0)
    for parameter in adapter_parameters(model).values():
        parameter.data = torch.randn(parameter.shape, generator=draw)
    return model


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_saved_is_loaded(small_llama, tmp_path, config, packed):
    def model():
        one = small_llama()
        if packed:
            quantize_base(one)
        return one

    first = tuned(model(), config)
    save_adapter(first, tmp_path / "adapter", base="a/model")
    assert sorted(p.name for p in (tmp_path / "adapter").iterdir()) == [CONFIG, WEIGHTS]
    second = model()
    read = load_adapter(second, tmp_path / "adapter")
    assert (read.scale, read.dropout) == (config.scale, config.dropout)
    assert adapters(second).keys() == adapters(first).keys()
    assert torch.equal(second(IDS).logits, first(IDS).logits)
    learned = {n for n, p in second.named_parameters() if p.requires_grad}
    assert len(learned) == len(adapter_parameters(second))


@pytest.mark.parametrize("config", CONFIGS)
def test_peft_loads_ours(small_llama, tmp_path, config):
    peft = pytest.importorskip("peft")
    ours = tuned(small_llama(), config)
    save_adapter(ours, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # peft only warns where a tensor is missing
        theirs = peft.PeftModel.from_pretrained(small_llama(), tmp_path)
    found = peft.get_peft_model_state_dict(theirs)
    assert found.keys() == {f"{PREFIX}{n}.weight" for n in adapter_parameters(ours)}
    assert torch.equal(theirs(IDS).logits, ours(IDS).logits)


@pytest.mark.parametrize("config", CONFIGS)
def test_ours_loads_pefts(small_llama, tmp_path, config):
    peft = pytest.importorskip("peft")
    theirs = peft.get_peft_model(
        small_llama(),
        peft.LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,
            lora_dropout=config.dropout,
            target_modules=list(config.targets),
            use_rslora=config.rank_stabilized,
            task_type="CAUSAL_LM",
            init_lora_weights=False,
        ),
    ).eval()
    theirs.save_pretrained(tmp_path)
    ours = small_llama()
    read = load_adapter(ours, tmp_path)
    assert read == LoRA(**vars(config) | {"targets": tuple(sorted(config.targets))})
    assert torch.equal(ours(IDS).logits, theirs(IDS).logits)


@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": "all-linear"},
        {"target_modules": r".*\.(q|v)_proj", "init_lora_weights": "gaussian"},
        {"target_modules": ["q_proj"], "layers_to_transform": [1]},
        {"target_modules": ["q_proj"], "exclude_modules": ["0.self_attn.q_proj"]},
        {"target_modules": ["q_proj"], "init_lora_weights": "orthogonal"},
    ],
)
def test_pefts_other_choices_go_there_and_back(small_llama, tmp_path, options):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=4, task_type="CAUSAL_LM", **options)
    theirs = peft.get_peft_model(small_llama(), config).eval()
    for name, parameter in theirs.named_parameters():
        if "lora_B" in name:
            parameter.data += 0.1
    theirs.save_pretrained(tmp_path / "theirs")
    ours = small_llama()
    load_adapter(ours, tmp_path / "theirs")
    assert torch.equal(ours(IDS).logits, theirs(IDS).logits)
    save_adapter(ours, tmp_path / "ours")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # peft only warns where a tensor is missing
        back = peft.PeftModel.from_pretrained(small_llama(), tmp_path / "ours")
    assert torch.equal(back(IDS).logits, theirs(IDS).logits)


def test_a_gradient_step_equals_pefts(small_llama, tmp_path):
    peft = pytest.importorskip("peft")
    ours = tuned(small_llama(), CONFIGS[0])
    save_adapter(ours, tmp_path)
    theirs = peft.PeftModel.from_pretrained(small_llama(), tmp_path, is_trainable=True)
    for model in (ours, theirs):
        model(input_ids=IDS, labels=IDS).loss.backward()
    found = {
        name.replace(".default.weight", "").removeprefix(PREFIX): p.grad
        for name, p in theirs.named_parameters()
        if p.requires_grad
    }
    for name, parameter in adapter_parameters(ours).items():
        assert torch.equal(parameter.grad, found[name])


OPTIONS = {
    "use_dora": True,
    "rank_pattern": {"q_proj": 2},
    "bias": "all",
    "modules_to_save": ["lm_head"],
    "fan_in_fan_out": True,
    "init_lora_weights": "pissa",
    "an_option_of_tomorrow": 3,
}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_we_have_not_is_refused(small_llama, tmp_path, option):
    save_adapter(tuned(small_llama(), CONFIGS[0]), tmp_path)
    about = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(json.dumps(about | {option: OPTIONS[option]}))
    model = small_llama()
    with pytest.raises(ValueError, match=option):
        load_adapter(model, tmp_path)
    assert not adapters(model)


def spoil(tensors, how):
    name = next(key for key in tensors if "q_proj.lora_A" in key)
    if how == "shape":
        tensors[name] = torch.zeros(3, 5)
    elif how == "pair":
        del tensors[name.replace("lora_A", "lora_B")]
    elif how == "layer":
        for end in "AB":
            key = f"lora_{end}.weight"
            tensors[f"{PREFIX}nowhere.{key}"] = tensors[name[: -len(key)] + key] + 1
    else:
        tensors[f"{PREFIX}model.norm.weight"] = torch.zeros(3)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("shape", r"A \(3, 5\) and B \(16, 3\) are not \(3, 16\)"),
        ("pair", "27 tensors are not 14 pairs"),
        ("layer", "no linear layer 'nowhere'"),
        ("other", "model.norm.weight is no A and no B"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(small_llama, tmp_path, how, message):
    save_adapter(tuned(small_llama(), CONFIGS[0]), tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    spoil(tensors, how)
    save_file(tensors, tmp_path / WEIGHTS)
    model = small_llama()
    with pytest.raises(ValueError, match=message):
        load_adapter(model, tmp_path)
    assert not adapters(model)


def test_missing_and_damaged_files_are_refused(small_llama, tmp_path):
    with pytest.raises(ValueError, match="no layer of the model has an adapter"):
        save_adapter(small_llama(), tmp_path)
    model = tuned(small_llama(), CONFIGS[0])
    save_adapter(model, tmp_path)
    with pytest.raises(ValueError, match="14 adapters already"):
        load_adapter(model, tmp_path)
    for name, content in ((WEIGHTS, b"12345678{"), (CONFIG, b"{"), (CONFIG, b"[]")):
        good = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match="adapter"):
            load_adapter(small_llama(), tmp_path)
        (tmp_path / name).write_bytes(good)
    with pytest.raises(ValueError, match="holds no adapter"):
        load_adapter(small_llama(), tmp_path / "nowhere")
