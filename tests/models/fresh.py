"""Loads saved models in a process of its own, writes what it sees beside them: python fresh.py TEXT.json FOLDER..."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel, AutoTokenizer

import textlatent.models


def look(folder: str, sentences: list[str]) -> None:
    """Scores, the next words' logits, parameters and buffers as tensors; classes, ids and sentences as JSON."""
    model = AutoModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    scores = model.score(sentences, samples=3, seed=1)
    tokens = torch.tensor([[1, 4, 5, 6]] * len(sentences))
    with torch.no_grad():
        logits = model.decoder(tokens, scores.z[0]).logits
    tensors = {f"scores.{name}": tensor for name, tensor in scores.to_dict().items()}
    tensors |= {f"parameter.{name}": tensor for name, tensor in model.named_parameters()}
    tensors |= {f"buffer.{name}": tensor for name, tensor in model.named_buffers()}
    save_file(
        {name: tensor.detach().clone().contiguous() for name, tensor in {**tensors, "logits": logits}.items()},
        f"{folder}.safetensors",
    )
    said = {
        "model": type(model).__name__,
        "config": type(AutoConfig.from_pretrained(folder)).__name__,
        "tokenizer": type(tokenizer).__name__,
        "own_tokenizer": type(model.tokenizer).__name__,
        "ids": [tokenizer.encode_sentences(sentences), model.tokenizer.encode_sentences(sentences)],
        "vocabulary": [tokenizer.get_vocab(), model.tokenizer.get_vocab()],
        "decoded": model.decode(scores.z[0]),
        "module": textlatent.models.__name__,
    }
    Path(f"{folder}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    for each in sys.argv[2:]:
        look(each, json.loads(Path(sys.argv[1]).read_text()))
