"""Sound: spectrograms and what can be heard of them, and speech made by a formula."""

from gvlab.audio.formants import vowel, vowels
from gvlab.audio.spectra import griffin_lim, hann, istft, log_bands, log_mel, mel_filters, spectral_convergence, stft

__all__ = [
    "griffin_lim",
    "hann",
    "istft",
    "log_bands",
    "log_mel",
    "mel_filters",
    "spectral_convergence",
    "stft",
    "vowel",
    "vowels",
]
