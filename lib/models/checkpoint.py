"""Finished layers in a folder, so that an interrupted run goes on where it was.

    layer.safetensors = packed tensors | metadata | what made it | of which weights

Each layer is one file, written to a draft and renamed: there are no half files. A file
says which settings made it and of which weights, so that another method's layer, or
another model's, is refused and never taken.

Read in order: `Checkpoint`, `fingerprint`.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


def fingerprint(w: Tensor) -> str:
    """Shape, dtype and a hash of the bits of `w`."""
    content = w.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    digest = hashlib.sha256(content.tobytes()).hexdigest()[:16]
    return f"{'x'.join(map(str, w.shape))} {w.dtype} {digest}"


class Checkpoint:
    """A folder of layers made by the same settings; it is made if it is not there."""

    def __init__(self, folder: Path | str, made_by: str) -> None:
        self.folder, self.made_by = Path(folder), made_by
        self.folder.mkdir(parents=True, exist_ok=True)

    def find(
        self, name: str, original: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The layer's tensors and metadata, or None where it is not there.

        ValueError where other settings made it, or made it of other weights, and where
        the file is damaged.
        """
        if not (path := self._path(name)).is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
                tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"{path} is damaged: delete it ({error})") from error
        for what, mine in (("by", self.made_by), ("of", fingerprint(original))):
            if (theirs := about.get(what, "an earlier version")) != mine:
                raise ValueError(
                    f"{path.name} was made {what} {theirs}, not {what} {mine}: "
                    "choose another folder"
                )
        return tensors, json.loads(about["metadata"])

    def keep(
        self,
        name: str,
        original: Tensor,
        tensors: dict[str, Tensor],
        metadata: dict[str, Any],
    ) -> None:
        """Write the layer to a draft, then rename it."""
        draft = self.folder / f"{name}.{os.getpid()}.draft"
        about = {
            "by": self.made_by,
            "of": fingerprint(original),
            "metadata": json.dumps(metadata),
        }
        tensors = {key: tensor.contiguous() for key, tensor in tensors.items()}
        save_file(tensors, draft, metadata=about)
        draft.replace(self._path(name))

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"
