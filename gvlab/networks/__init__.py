"""Linen modules: generators, discriminators, encoders and decoders.

Every network is called with the class condition `y` (one-hot, or None) as its second argument and with `train`:

- a generator:     `(z [batch, latent], y=None, *, train) -> x [batch, *shape]`, images in [-1, 1];
- a discriminator: `(x, y=None, *, train) -> logits [batch]`, or a `gvlab.types.Judged` of them and of what terms of
  the loss read;
- an encoder:      `(x, y=None, *, train) -> (mean [batch, latent_dim], logvar [batch, latent_dim])`;
- a decoder:       `(z, y=None, *, train) -> raw [batch, *shape[:-1], shape[-1] * parameters]`, the likelihood's own
  parameters, without an output non-linearity;
- a bijection:     `(x [batch, length], y, *, train) -> (noise [batch, length], log |det| [batch])`, with `inverse`;
- a network of codes: `(codes [batch, positions], y, *, train) -> logits [batch, positions, levels]`;
- a decoder of sentences: `((z, x [batch, length]), y=None, *, train) -> logits [batch, length, levels]`, with the
  methods `begin` and `step`, by which it writes;
- a quantiser:     `(x [batch, *positions, features], *, train) -> Quantized`, without a condition.

`train` switches BatchNorm between the batch's statistics, which it then also averages into the collection
`batch_stats`, and that average. A network with BatchNorm has the field `axis_name`. In networks with spectral norm a
pass with `train` also advances the vectors in the collection `spectral`, if the caller lets that be mutable. A
quantiser moves the codebook in the collection `codebook` likewise, and one that replaces codes takes the stream of that
name. A generator that draws more than its latents (its class attribute `draws` is True) takes the stream `noise` in
training.
"""

from gvlab.networks.article import ArticleDecoder, ArticleDiscriminator, ArticleEncoder, ArticleGenerator
from gvlab.networks.attention import SelfAttention
from gvlab.networks.autoregressive import CausalTransformer, GatedPixelCNN
from gvlab.networks.biggan import BigGANGenerator, biggan_networks
from gvlab.networks.biggan_deep import (
    BigGANDeepDiscriminator,
    BigGANDeepGenerator,
    BottleneckDownBlock,
    BottleneckUpBlock,
    StudioGANDownBlock,
    StudioGANUpBlock,
    biggan_deep_networks,
    studiogan_biggan_deep_networks,
)
from gvlab.networks.code_networks import CodeDecoder, CodeEncoder, CodeMLPDecoder, CodeMLPEncoder
from gvlab.networks.code_waves import CodeWaveDecoder, CodeWaveEncoder
from gvlab.networks.codebooks import Codebook, Usage, code_counts, code_usage, kmeans_codebook, nearest_code
from gvlab.networks.conditional import ConditionalBatchNorm, ProjectionHead
from gvlab.networks.convolution import conv, conv_transpose
from gvlab.networks.convolutional_coders import ConvolutionalDecoder, ConvolutionalEncoder
from gvlab.networks.dcgan import (
    DCGANDiscriminator,
    DCGANGenerator,
    PlainDCGANDiscriminator,
    SpectralDCGANDiscriminator,
)
from gvlab.networks.equalized import EqualizedConv, EqualizedDense
from gvlab.networks.filtered import down_conv, up_conv
from gvlab.networks.flows import MADE, MAF, RealNVP
from gvlab.networks.grouped import grouped_conv
from gvlab.networks.heads import ClassifierHead, EmbeddingHead, ExtraClassHead
from gvlab.networks.ladder_mlp import LadderMLP
from gvlab.networks.ladders import Descent, Normals, absolute_normals, residual_normals
from gvlab.networks.layers import Conv, ConvTranspose, append_label
from gvlab.networks.maxout import MaxoutDiscriminator, NormalizedMLPGenerator
from gvlab.networks.minibatch import minibatch_stddev
from gvlab.networks.mixture_fits import FittedMixture, em_mixture, fitted_mixture
from gvlab.networks.mixtures import NormalMixture, PseudoInputs
from gvlab.networks.mlp import MLPDecoder, MLPDiscriminator, MLPEncoder, MLPGenerator, bernoulli_bias
from gvlab.networks.modulated import modulated_conv
from gvlab.networks.normalised_means import NormalisedMeans
from gvlab.networks.nvae import NVAE, DecoderCell, EncoderCell
from gvlab.networks.packing import Packed
from gvlab.networks.patches import PatchDiscriminator, SimilarityDiscriminator
from gvlab.networks.posterior_flows import InverseAutoregressive, Planar, Radial
from gvlab.networks.precision import InBfloat16
from gvlab.networks.quantizers import (
    EMAVectorQuantizer,
    Quantized,
    ResidualQuantizer,
    SimVQ,
    VectorQuantizer,
    kmeans_start,
    rotated,
    straight_through,
)
from gvlab.networks.r3gan import R3GANDiscriminator, R3GANGenerator
from gvlab.networks.r3gan import stages as r3gan_stages
from gvlab.networks.resampling import downsample, upsample
from gvlab.networks.residual import (
    DownBlock,
    ImageBlock,
    Layers,
    ResidualDiscriminator,
    ResidualGenerator,
    UpBlock,
    plain,
    sagan_networks,
    sngan_networks,
    spectral,
    studiogan_sngan_networks,
)
from gvlab.networks.residual_translator import InstancePatchDiscriminator, ResidualTranslator
from gvlab.networks.scalar_quantizers import (
    BinarySphericalQuantizer,
    FiniteScalarQuantizer,
    LookupFreeQuantizer,
    batch_entropy,
    bit_logits,
    code_entropy,
    factorised_batch_entropy,
    on_sphere,
)
from gvlab.networks.sentence_convolutions import SentenceDiscriminator, SentenceGenerator
from gvlab.networks.sentence_transformer import AttentionBlock, TransformerDecoder, TransformerEncoder
from gvlab.networks.sentences import GRU, GRUDecoder, GRUEncoder
from gvlab.networks.shared import WithShared
from gvlab.networks.spectral_decoder import SpectrallyNormalised
from gvlab.networks.spectral_norm import SpectralConv, SpectralConvTranspose, SpectralDense, SpectralEmbed
from gvlab.networks.stylegan2 import StyleGAN2Generator
from gvlab.networks.stylegan2_discriminator import (
    OrigBlock,
    ResnetBlock,
    SkipBlock,
    StyleGAN2Discriminator,
    stylegan2_networks,
)
from gvlab.networks.unet import UNet
from gvlab.networks.vdvae import VDVAE, ResidualBlock, TopDownBlock
from gvlab.networks.waves import (
    Conv1D,
    Conv1DTranspose,
    PhaseShuffle,
    WaveGANDiscriminator,
    WaveGANGenerator,
    conv1d,
    conv1d_transpose,
    wavegan_strides,
)

__all__ = [
    "GRU",
    "MADE",
    "MAF",
    "NVAE",
    "VDVAE",
    "ArticleDecoder",
    "ArticleDiscriminator",
    "ArticleEncoder",
    "ArticleGenerator",
    "AttentionBlock",
    "BigGANDeepDiscriminator",
    "BigGANDeepGenerator",
    "BigGANGenerator",
    "BinarySphericalQuantizer",
    "BottleneckDownBlock",
    "BottleneckUpBlock",
    "CausalTransformer",
    "ClassifierHead",
    "CodeDecoder",
    "CodeEncoder",
    "CodeMLPDecoder",
    "CodeMLPEncoder",
    "CodeWaveDecoder",
    "CodeWaveEncoder",
    "Codebook",
    "ConditionalBatchNorm",
    "Conv",
    "Conv1D",
    "Conv1DTranspose",
    "ConvTranspose",
    "ConvolutionalDecoder",
    "ConvolutionalEncoder",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DecoderCell",
    "Descent",
    "DownBlock",
    "EMAVectorQuantizer",
    "EmbeddingHead",
    "EncoderCell",
    "EqualizedConv",
    "EqualizedDense",
    "ExtraClassHead",
    "FiniteScalarQuantizer",
    "FittedMixture",
    "GRUDecoder",
    "GRUEncoder",
    "GatedPixelCNN",
    "ImageBlock",
    "InBfloat16",
    "InstancePatchDiscriminator",
    "InverseAutoregressive",
    "LadderMLP",
    "Layers",
    "LookupFreeQuantizer",
    "MLPDecoder",
    "MLPDiscriminator",
    "MLPEncoder",
    "MLPGenerator",
    "MaxoutDiscriminator",
    "NormalMixture",
    "NormalisedMeans",
    "NormalizedMLPGenerator",
    "Normals",
    "OrigBlock",
    "Packed",
    "PatchDiscriminator",
    "PhaseShuffle",
    "PlainDCGANDiscriminator",
    "Planar",
    "ProjectionHead",
    "PseudoInputs",
    "Quantized",
    "R3GANDiscriminator",
    "R3GANGenerator",
    "Radial",
    "RealNVP",
    "ResidualBlock",
    "ResidualDiscriminator",
    "ResidualGenerator",
    "ResidualQuantizer",
    "ResidualTranslator",
    "ResnetBlock",
    "SelfAttention",
    "SentenceDiscriminator",
    "SentenceGenerator",
    "SimVQ",
    "SimilarityDiscriminator",
    "SkipBlock",
    "SpectralConv",
    "SpectralConvTranspose",
    "SpectralDCGANDiscriminator",
    "SpectralDense",
    "SpectralEmbed",
    "SpectrallyNormalised",
    "StudioGANDownBlock",
    "StudioGANUpBlock",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "TopDownBlock",
    "TransformerDecoder",
    "TransformerEncoder",
    "UNet",
    "UpBlock",
    "Usage",
    "VectorQuantizer",
    "WaveGANDiscriminator",
    "WaveGANGenerator",
    "WithShared",
    "absolute_normals",
    "append_label",
    "batch_entropy",
    "bernoulli_bias",
    "biggan_deep_networks",
    "biggan_networks",
    "bit_logits",
    "code_counts",
    "code_entropy",
    "code_usage",
    "conv",
    "conv1d",
    "conv1d_transpose",
    "conv_transpose",
    "down_conv",
    "downsample",
    "em_mixture",
    "factorised_batch_entropy",
    "fitted_mixture",
    "grouped_conv",
    "kmeans_codebook",
    "kmeans_start",
    "minibatch_stddev",
    "modulated_conv",
    "nearest_code",
    "on_sphere",
    "plain",
    "r3gan_stages",
    "residual_normals",
    "rotated",
    "sagan_networks",
    "sngan_networks",
    "spectral",
    "straight_through",
    "studiogan_biggan_deep_networks",
    "studiogan_sngan_networks",
    "stylegan2_networks",
    "up_conv",
    "upsample",
    "wavegan_strides",
]


def __dir__() -> list[str]:
    """What a notebook completes: the public names, and none of the modules that they come from."""
    return __all__
