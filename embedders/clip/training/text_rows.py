"""Rows of captions from the frozen text tower, before the projection."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from open_clip.hf_model import HFTextEncoder
from torch import Tensor

from embedders.clip.files import ClipFiles
from embedders.clip.tokens import texts_of
from embedders.clip.training.layout import TEXT_DIM, text_cfg
from embedders.sentence.options import SentenceOptions
from embedders.sentence.source import MINILM, model_folder
from embedders.training import Progress, silent

BATCH = 128


@torch.inference_mode()
def text_rows(
    captions: Sequence[str], device: str, bfloat16: bool, progress: Progress = silent
) -> Tensor:
    """Mean-pooled MiniLM rows of captions, float32 (n, 384), on the CPU; exactly as served.

    Raises:
        MissingExtraError: MiniLM's package is not installed.
        ModelFormatError: its hash differs.
    """
    folder = model_folder(MINILM, SentenceOptions())
    tower = HFTextEncoder(str(folder), TEXT_DIM, pooler_type="mean_pooler").eval().to(device)
    files = ClipFiles({"text_cfg": text_cfg()}, {}, Path(), tokenizer=folder, text_tower=folder)
    texts = texts_of(files)
    ids = [text.ids for text in texts.tokenize(list(captions))]
    # alike in length, so that little is padded
    order = np.argsort([len(one) for one in ids], kind="stable")
    rows = torch.empty(len(ids), TEXT_DIM)
    for start in range(0, len(ids), BATCH):
        progress("captions", start, len(ids))
        places = order[start : start + BATCH]
        tokens = texts.collate([ids[i] for i in places], whole=False).to(device)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bfloat16):
            rows[torch.from_numpy(places)] = tower(tokens).float().cpu()
    return rows
