"""A trained model by JAX and NumPy alone, as gvlab exported it. card.json says what its arrays are.

pip install jax numpy flatbuffers  # jax.export reads its files by the latter

    import load

    x = load.sample(16, seed=1)  # to the last bit what gvlab.load(RUN).sample(16, seed=1) gives on the same machine;
        # where card.json has "unsampled", it says why there are no samples, and load.sample refuses
    x = load.decode(z)  # of latents [n, latent]
    mean, logvar = load.encode(x)  # of a VAE: of images as uint8 [n, height, width, channel], points [n, d], sounds as
        # int16 [n, samples, channel] or sentences as int32 [n, length]
    z = load.encode(x)  # of a VQVAE: its codes, int32 [n, positions]

Images come in [0, 1] and sounds in [-1, 1], of card["run"]["data"]["rate"] samples a second; sentences are the numbers
of symbols in card["run"]["data"]["alphabet"].

Where there are classes, y is one of them for all, integers [n], or weights [n, classes]; by default they come in turn.
"""

import json
from pathlib import Path

import jax.export
import numpy as np

folder = Path(__file__).parent
card, raw = json.loads((folder / "card.json").read_bytes()), (folder / "weights.safetensors").read_bytes()
weights = jax.device_put({k: np.ndarray(t["shape"], t["dtype"], raw, t["offset"]) for k, t in card["weights"].items()})
programs = {file.stem: jax.export.deserialize(bytearray(file.read_bytes())) for file in folder.glob("*.jax_export")}
one_hot = np.eye(max(card["classes"], 1), card["classes"], dtype=np.float32)


def run(name, n, y, *inputs):
    y = np.arange(n) % len(one_hot) if y is None else np.asarray(y)
    return programs[name].call(weights, *inputs, np.float32(y) if y.ndim == 2 else one_hot[np.broadcast_to(y, n)])


def sample(n, seed=0, y=None, truncation=np.inf):
    if "sample" not in programs or (card["prior"] == "own" and truncation < np.inf):
        own = f"truncation is {truncation}, but it is of the normal prior, and this model has its own."
        raise ValueError(card.get("unsampled", own))
    return run("sample", n, y, np.int32(seed), np.float32(truncation))


def decode(z, y=None):
    return run("decode", len(z), y, np.asarray(z, card["programs"]["decode"]["inputs"][0]["dtype"]))


def encode(x, y=None):
    return run("codes" if "codes" in programs else "encode", len(x), y, np.asarray(x))
