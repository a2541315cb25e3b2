"""A measure as a record that says everything of itself: its number and protocol, which direction is the good one, and
what it tells of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from gvlab.types import Json

Better = Literal["lower", "higher"]
Group = Literal["quality", "diversity", "likelihood", "restoration", "latents", "diagnostics"]

GROUPS: dict[Group, str] = {
    "quality": "Quality: how near samples are to the data",
    "diversity": "Diversity: how much of the data the samples reach",
    "likelihood": "Likelihood: what the model says of test data",
    "restoration": "Restoration: how near damaged test images, once restored, are to the true ones",
    "latents": "Latents: what the encoder tells of an image",
    "diagnostics": "Diagnostics: terms of training, which judge nothing",
}
"""What the groups are of, in the order in which they are shown."""


class Kind(NamedTuple):
    """What the measures of one name have in common, whatever features they are on."""

    name: str
    """All of the measure's name, or what stands before _FEATURES; of several that fit the longest is meant."""
    better: Better | None
    group: Group
    title: str = ""
    """What a reader calls them."""


KINDS = (
    Kind("iw_bound_nats", "higher", "likelihood", "Importance-weighted bound"),
    Kind("ais_bound_nats", "higher", "likelihood", "AIS bound"),
    Kind("fid", "lower", "quality", "FID"),
    Kind("fid_infinity", "lower", "quality", "FID, extrapolated"),
    Kind("fld", "lower", "quality", "Fréchet distance"),
    Kind("modes_covered", "higher", "diversity", "Modes covered"),
    Kind("frechet", "lower", "quality", "Fréchet distance"),
    Kind("frechet_infinity", "lower", "quality", "Fréchet distance, extrapolated"),
    Kind("elbo_nats", "higher", "likelihood", "ELBO"),
    Kind("log_prob_nats", "higher", "likelihood", "Log-likelihood"),
    Kind("kl_of_truth_nats", "lower", "likelihood", "KL of the truth"),
    Kind("bits_per_character", "lower", "likelihood", "Bits per character"),
    Kind("bits_per_word", "lower", "likelihood", "Bits per word"),
    Kind("perplexity", "lower", "likelihood", "Perplexity"),
    Kind("valid_share", "higher", "quality", "Valid sentences"),
    Kind("forward_lm_bits", "lower", "quality", "Bits of samples by an n-gram model of the data"),
    Kind("reverse_lm_bits", "lower", "diversity", "Bits of the data by an n-gram model of samples"),
    Kind("frechet_ngrams", "lower", "quality", "Fréchet distance of n-grams"),
    Kind("ngram_js_bits", "lower", "quality", "Jensen-Shannon divergence of n-grams"),
    Kind("bleu", "higher", "quality", "BLEU"),
    Kind("self_bleu", "lower", "diversity", "Self-BLEU"),
    Kind("distinct", "higher", "diversity", "Distinct n-grams"),
    Kind("unique_share", "higher", "diversity", "Unique samples"),
    Kind("copied_share", None, "diversity", "Samples that are training sentences"),
    Kind("truth_log_prob_nats", None, "quality", "True log-probability of samples"),
    Kind("mean_length", None, "quality", "Length"),
    Kind("rms", None, "quality", "Loudness"),
    Kind("silence_share", None, "quality", "Silence"),
    Kind("peak", None, "quality", "Peak"),
    Kind("full_share", None, "quality", "Samples at the end of the range"),
    Kind("precision", "higher", "quality", "Precision"),
    Kind("improved_precision", "higher", "quality", "Improved precision"),
    Kind("prd_f1_8", "higher", "quality", "PRD F1/8"),
    Kind("recall", "higher", "diversity", "Recall"),
    Kind("improved_recall", "higher", "diversity", "Improved recall"),
    Kind("prd_f8", "higher", "diversity", "PRD F8"),
    Kind("coverage", "higher", "diversity", "Coverage"),
    Kind("density", "higher", "quality", "Density"),
    Kind("classes_reached", "higher", "diversity", "Classes reached"),
    Kind("class_js_bits", "lower", "diversity", "Divergence of class shares, bits"),
    Kind("class_score", "higher", "quality", "Classifier score"),
    Kind("inception_score", "higher", "quality", "Inception score"),
    Kind("isc", "higher", "quality", "Inception score"),
    Kind("high_quality", "higher", "quality", "High-quality samples"),
    Kind("restored_psnr_db", "higher", "restoration", "PSNR of restored images, dB"),
    Kind("restored_error_per_pixel", "lower", "restoration", "Squared error per pixel of restored images"),
    Kind("restored_ssim", "higher", "restoration", "SSIM of restored images"),
    Kind("restored_class_agreement", "higher", "restoration", "Restored images that keep their class"),
    Kind("translated_absolute_error", "lower", "restoration", "Absolute error of translated images"),
    Kind("translated_squared_error", "lower", "restoration", "Squared error of translated images"),
    Kind("kid", "lower", "quality", "KID"),
    Kind("kld", "lower", "quality", "Kernel distance"),
    Kind("kernel", "lower", "quality", "Kernel distance"),
    Kind("sliced_wasserstein2", "lower", "quality", "Sliced Wasserstein distance"),
    Kind("reverse_kl", "lower", "diversity", "Reverse KL of modes"),
    Kind("kl_to", "lower", "diversity", "KL"),
    Kind("vendi", None, "diversity", "Vendi score"),
    Kind("memorisation", None, "diversity", "Memorised samples"),
    Kind("memorisation_of_real", None, "diversity", "Memorised test examples"),
    Kind("authenticity", "higher", "diversity", "Authenticity"),
    Kind("nearest_self", None, "diversity", "Distance to the nearest sample"),
    Kind("nearest_train", None, "diversity", "Distance to the nearest training example"),
    Kind("bits_per_dim", "lower", "likelihood", "Bits per dimension"),
    Kind("reconstruction_nats", None, "likelihood", "Reconstruction"),
    Kind("kl_nats", None, "likelihood", "KL to the prior"),
    Kind("ais_gap_nats", None, "likelihood", "AIS gap"),
    Kind("active_units", None, "latents", "Active units"),
    Kind("mutual_information_nats", None, "latents", "Mutual information"),
    Kind("marginal_kl_nats", None, "latents", "Marginal KL"),
    Kind("collapsed_units", None, "latents", "Collapsed units"),
    Kind("code_perplexity", None, "latents", "Perplexity of codes"),
    Kind("code_entropy_bits", None, "latents", "Entropy of codes, bits"),
    Kind("active_codes", None, "latents", "Active codes"),
    Kind("cluster_accuracy", "higher", "latents", "Cluster accuracy"),
    Kind("used_clusters", None, "latents", "Used clusters"),
    Kind("mig", "higher", "latents", "MIG"),
    Kind("dci_disentanglement", "higher", "latents", "DCI disentanglement"),
    Kind("dci_completeness", "higher", "latents", "DCI completeness"),
    Kind("dci_informativeness", "higher", "latents", "DCI informativeness"),
    Kind("sap", "higher", "latents", "SAP"),
    Kind("factor_vae_score", "higher", "latents", "FactorVAE metric"),
    Kind("beta_vae_score", "higher", "latents", "beta-VAE metric"),
    Kind("modularity", "higher", "latents", "Modularity"),
    Kind("explicitness", "higher", "latents", "Explicitness"),
    Kind("irs", "higher", "latents", "IRS"),
    Kind("gaussian_tc_nats", None, "latents", "Total correlation of a Gaussian fit"),
    Kind("wasserstein_correlation", None, "latents", "Wasserstein correlation"),
)
"""All that gvlab knows, those first that tell most: what is shown at a glance is taken in this order. A measure that is
none of them, as a model's own term, describes and doesn't judge."""


def kind_of(measure: str) -> Kind:
    """The kind of a measure, by its name."""
    fitting = [kind for kind in KINDS if f"{measure}_".startswith(f"{kind.name}_")]
    return max(fitting, key=lambda kind: len(kind.name), default=Kind(measure, None, "diagnostics", measure))


_DATA = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10", "stacked_mnist": "Stacked MNIST"}
_CLASSIFIER = re.compile(r"(.+)-[0-9a-f]{8}")


def title_of(measure: str) -> str:
    """A measure as a reader calls it, with its features and its unit: `Fréchet distance (MNIST classifier)`."""
    kind = kind_of(measure)
    features = measure.removeprefix(kind.name).removesuffix("_nats").strip("_")
    network = _CLASSIFIER.fullmatch(features)
    if network:
        features = f"{_DATA.get(network[1], network[1])} classifier"
    about = [features.replace("inception", "Inception"), "nats" if measure.endswith("_nats") else ""]
    shown = ", ".join(filter(None, about))
    return f"{kind.title} ({shown})" if shown and kind.group != "diagnostics" else kind.title


def rank(measure: str) -> int:
    """Where a measure's kind stands in `KINDS`; behind all of them if it is none."""
    kind = kind_of(measure)
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


@dataclass(frozen=True)
class Measure:
    """One number of a unit, with the protocol that it was measured by, its direction and its group."""

    name: str
    value: float
    stamp: dict[str, Any]
    """The protocol."""
    better: Better | None
    """Which direction is the good one; None if it describes and doesn't judge."""
    group: Group
    """What it tells of."""

    @classmethod
    def of(cls, name: str, written: Json) -> Measure:
        """Of its object in evaluation.json, which is what lies on the disk since the first version."""
        kind = kind_of(name)
        return cls(name, float(written["value"]), written["stamp"], kind.better, kind.group)

    @property
    def warnings(self) -> list[str]:
        """What the stamp warns of."""
        return [self.stamp[field] for field in ("warning", "note") if field in self.stamp]
