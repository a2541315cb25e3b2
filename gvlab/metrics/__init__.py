"""Measures of generative models: functions of arrays, with answers in float64 whatever JAX's default is.

A measure is named after its features. On features that aren't Inception's, the Fréchet distance and the kernel distance
are never called FID or KID. `docs/metrics.md` says which measure answers which question, and how each fails.
"""

from gvlab.metrics.ais import (
    Chains,
    Pilot,
    effective_sample_size,
    forward_chains,
    gaussian_observation,
    loop_temperatures,
    reverse_bound,
    reverse_chains,
    scan_temperatures,
    sigmoid_schedule,
    tune_step_sizes,
)
from gvlab.metrics.clusters import cluster_accuracy
from gvlab.metrics.correlation import gaussian_total_correlation, gaussian_wasserstein_correlation
from gvlab.metrics.disentanglement import (
    DCI,
    dci,
    dci_from_importance,
    explicitness,
    interventional_robustness,
    sap_continuous,
    sap_discrete,
)
from gvlab.metrics.doors import fid, image_features, image_logits, kid
from gvlab.metrics.frechet import (
    Moments,
    RunningMoments,
    frechet_bias,
    frechet_distance,
    frechet_distance_ddof0,
    frechet_distance_infinity,
    moments,
    moments_compute,
    moments_init,
    moments_merge,
    moments_update,
)
from gvlab.metrics.image_quality import ms_ssim, psnr, ssim
from gvlab.metrics.inception import inception_score, inception_score_shuffled
from gvlab.metrics.information import factor_entropy, modularity, mutual_information, mutual_information_gap
from gvlab.metrics.interventions import Accuracy, beta_vae_metric, factor_vae_metric
from gvlab.metrics.kernel import gaussian_mmd2, polynomial_mmd2, polynomial_mmd2_blocks, polynomial_mmd2_subsets
from gvlab.metrics.latent import ElboSurgery, active_units, collapsed_units, elbo_surgery, unit_activity
from gvlab.metrics.modes import (
    ClassBalance,
    MixtureCoverage,
    StackedCoverage,
    class_balance,
    mixture_coverage,
    stacked_coverage,
)
from gvlab.metrics.neighbours import Neighbours, authenticity, memorisation_rate, nearest_distance, nearest_neighbours
from gvlab.metrics.parzen import ParzenEstimate, parzen_estimate, parzen_log_likelihood
from gvlab.metrics.prd import PRDCurve, prd_curve, prd_curve_from_features, prd_f_scores
from gvlab.metrics.precision_recall import PRDC, PrecisionRecall, improved_precision_recall, prdc
from gvlab.metrics.sliced import random_projections, sliced_wasserstein2, sliced_wasserstein2_gaussian
from gvlab.metrics.text import NGrams, bleu, distinct, ngram_divergence, ngram_model, self_bleu
from gvlab.metrics.text_features import ngram_features
from gvlab.metrics.vendi import vendi_score

__all__ = [
    "DCI",
    "PRDC",
    "Accuracy",
    "Chains",
    "ClassBalance",
    "ElboSurgery",
    "MixtureCoverage",
    "Moments",
    "NGrams",
    "Neighbours",
    "PRDCurve",
    "ParzenEstimate",
    "Pilot",
    "PrecisionRecall",
    "RunningMoments",
    "StackedCoverage",
    "active_units",
    "authenticity",
    "beta_vae_metric",
    "bleu",
    "class_balance",
    "cluster_accuracy",
    "collapsed_units",
    "dci",
    "dci_from_importance",
    "distinct",
    "effective_sample_size",
    "elbo_surgery",
    "explicitness",
    "factor_entropy",
    "factor_vae_metric",
    "fid",
    "forward_chains",
    "frechet_bias",
    "frechet_distance",
    "frechet_distance_ddof0",
    "frechet_distance_infinity",
    "gaussian_mmd2",
    "gaussian_observation",
    "gaussian_total_correlation",
    "gaussian_wasserstein_correlation",
    "image_features",
    "image_logits",
    "improved_precision_recall",
    "inception_score",
    "inception_score_shuffled",
    "interventional_robustness",
    "kid",
    "loop_temperatures",
    "memorisation_rate",
    "mixture_coverage",
    "modularity",
    "moments",
    "moments_compute",
    "moments_init",
    "moments_merge",
    "moments_update",
    "ms_ssim",
    "mutual_information",
    "mutual_information_gap",
    "nearest_distance",
    "nearest_neighbours",
    "ngram_divergence",
    "ngram_features",
    "ngram_model",
    "parzen_estimate",
    "parzen_log_likelihood",
    "polynomial_mmd2",
    "polynomial_mmd2_blocks",
    "polynomial_mmd2_subsets",
    "prd_curve",
    "prd_curve_from_features",
    "prd_f_scores",
    "prdc",
    "psnr",
    "random_projections",
    "reverse_bound",
    "reverse_chains",
    "sap_continuous",
    "sap_discrete",
    "scan_temperatures",
    "self_bleu",
    "sigmoid_schedule",
    "sliced_wasserstein2",
    "sliced_wasserstein2_gaussian",
    "ssim",
    "stacked_coverage",
    "tune_step_sizes",
    "unit_activity",
    "vendi_score",
]


def __dir__() -> list[str]:
    """What a notebook completes: the public names, and none of the modules that they come from."""
    return __all__
