"""The course's own models, by name; each is kept in `weights/NAME`, under 16 MB.

    teacher   4.7 M parameters, a vocabulary of 1,024 of its own
    student   0.7 M, the same vocabulary, distilled from the teacher
    draft     4 blocks as wide as SmolLM2's, which guess what SmolLM2 will write

The draft shares SmolLM2's embeddings: the file holds the four blocks, as int8 codes
with a scale a row (|w − ŵ| ≤ max|w| / 254), the norm, and which tokens it can guess. A
card beside each says how it was made: `python -m lib.distill.train NAME`.

Every file is checked by SHA-256 before it is read.

Read in order: `course_folder`, `draft_model`, `shell`; lib/distill/train.py writes such
a file.
"""

import copy
import hashlib
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from lib.models.course.frequent_head import FrequentHead

COURSE_MODELS = ("teacher", "student", "draft")
WEIGHTS = Path(__file__).with_name("weights")
CHECKED = ("model.safetensors", "tokenizer.json")
MEND = "run `git checkout lib/models/course/weights`, or install the course again"


def course_folder(name: str, weights: Path = WEIGHTS) -> Path:
    """The folder of a model, its files checked.

    ValueError for a file that is missing or is not the one that was listed.
    """
    listed = json.loads((weights / "hashes.json").read_text())
    for file, expected in listed.get(name, {"model.safetensors": "?"}).items():
        path = weights / name / file
        found = digest(path) if path.is_file() else "missing"
        if found != expected:
            raise ValueError(
                f"{name}/{file} is {found[:12]}, and should be {expected[:12]}: {MEND}"
            )
    return weights / name


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def list_hashes(weights: Path = WEIGHTS) -> None:
    """Write down what the files are now."""
    found = {
        name: {f: digest(p) for f in CHECKED if (p := weights / name / f).is_file()}
        for name in COURSE_MODELS
        if (weights / name).is_dir()
    }
    (weights / "hashes.json").write_text(json.dumps(found, indent=1) + "\n")


def draft_model(
    folder: Path, smollm2: Path, dtype: torch.dtype = torch.float32
) -> LlamaForCausalLM:
    """The draft of `folder`, over the embeddings in the folder of SmolLM2.

    ValueError for a file that lacks tensors, or has others.
    """
    with safe_open(smollm2 / "model.safetensors", "pt") as file:
        embeddings = file.get_tensor("model.embed_tokens.weight").to(dtype)
    stored = load_file(folder / "model.safetensors")
    config = LlamaConfig.from_pretrained(smollm2)
    config.num_hidden_layers = len({n.split(".")[1] for n in stored if "layers" in n})
    config.layer_types = None
    tokens = stored.pop("tokens").long()
    embed = nn.Embedding.from_pretrained(embeddings)
    head = FrequentHead(embeddings[tokens], tokens, len(embeddings))
    model = shell(config, embed, head, blocks=config.num_hidden_layers)
    state = {
        name.removesuffix(".codes"): restored(stored, name)
        for name in stored
        if not name.endswith(".absmax")
    }
    missing, extra = model.model.load_state_dict(state, strict=False)
    if missing != ["embed_tokens.weight"] or extra:
        raise ValueError(f"{folder.name}: missing {missing}, unexpected {extra}")
    return model.to(dtype)


def restored(stored: dict[str, Tensor], name: str) -> Tensor:
    """Ŵ of codes and the largest |w| of each row; what is no code, as it is."""
    tensor = stored[name]
    if not name.endswith(".codes"):
        return tensor.float()
    absmax = stored[name.removesuffix("codes") + "absmax"]
    return tensor.float() * (absmax / 127)[:, None]


def shell(
    config: LlamaConfig, embed: nn.Embedding, head: nn.Module, *, blocks: int = 0
) -> LlamaForCausalLM:
    """A Llama of this configuration over given embeddings and a given head.

    It has its first `blocks` blocks, with random weights; others may be put in.
    """
    small = copy.deepcopy(config)
    small.vocab_size, small.num_hidden_layers = 1, blocks
    small.pad_token_id = small.bos_token_id = small.eos_token_id = None
    small.layer_types = None
    small.tie_word_embeddings = False
    model = LlamaForCausalLM(small)
    model.config = model.model.config = config
    model.vocab_size = model.model.vocab_size = config.vocab_size
    model.model.embed_tokens, model.lm_head = embed, head
    return model.eval().requires_grad_(False)
