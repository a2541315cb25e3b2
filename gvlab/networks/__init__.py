"""Linen modules: generators, discriminators, encoders and decoders.

Every network is called with the class condition `y` (one-hot, or None) as its second argument and with `train`:

- a generator:     `(z [batch, latent], y=None, *, train) -> x [batch, *shape]`, images in [-1, 1];
- a discriminator: `(x, y=None, *, train) -> logits [batch]`, or a `gvlab.types.Judged` of them and of what terms of
  the loss read;
- an encoder:      `(x, y=None, *, train) -> (mean [batch, latent_dim], logvar [batch, latent_dim])`;
- a decoder:       `(z, y=None, *, train) -> raw [batch, *shape[:-1], shape[-1] * parameters]`, the likelihood's own
  parameters, without an output non-linearity.

`train` switches BatchNorm between the batch's statistics, which it then also averages into the collection
`batch_stats`, and that average. A network with BatchNorm has the field `axis_name`. In networks with spectral norm a
pass with `train` also advances the vectors in the collection `spectral`, if the caller lets that be mutable.
"""

from gvlab.networks.article import ArticleDecoder, ArticleDiscriminator, ArticleEncoder, ArticleGenerator
from gvlab.networks.attention import SelfAttention
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
from gvlab.networks.conditional import ConditionalBatchNorm, ProjectionHead
from gvlab.networks.convolution import conv, conv_transpose
from gvlab.networks.dcgan import (
    DCGANDiscriminator,
    DCGANGenerator,
    PlainDCGANDiscriminator,
    SpectralDCGANDiscriminator,
)
from gvlab.networks.grouped import grouped_conv
from gvlab.networks.heads import ClassifierHead, EmbeddingHead, ExtraClassHead
from gvlab.networks.layers import Conv, ConvTranspose, append_label
from gvlab.networks.maxout import MaxoutDiscriminator, NormalizedMLPGenerator
from gvlab.networks.mlp import MLPDecoder, MLPDiscriminator, MLPEncoder, MLPGenerator, bernoulli_bias
from gvlab.networks.precision import InBfloat16
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
from gvlab.networks.spectral_norm import SpectralConv, SpectralConvTranspose, SpectralDense, SpectralEmbed

__all__ = [
    "ArticleDecoder",
    "ArticleDiscriminator",
    "ArticleEncoder",
    "ArticleGenerator",
    "BigGANDeepDiscriminator",
    "BigGANDeepGenerator",
    "BigGANGenerator",
    "BottleneckDownBlock",
    "BottleneckUpBlock",
    "ClassifierHead",
    "ConditionalBatchNorm",
    "Conv",
    "ConvTranspose",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DownBlock",
    "EmbeddingHead",
    "ExtraClassHead",
    "ImageBlock",
    "InBfloat16",
    "Layers",
    "MLPDecoder",
    "MLPDiscriminator",
    "MLPEncoder",
    "MLPGenerator",
    "MaxoutDiscriminator",
    "NormalizedMLPGenerator",
    "PlainDCGANDiscriminator",
    "ProjectionHead",
    "R3GANDiscriminator",
    "R3GANGenerator",
    "ResidualDiscriminator",
    "ResidualGenerator",
    "SelfAttention",
    "SpectralConv",
    "SpectralConvTranspose",
    "SpectralDCGANDiscriminator",
    "SpectralDense",
    "SpectralEmbed",
    "StudioGANDownBlock",
    "StudioGANUpBlock",
    "UpBlock",
    "append_label",
    "bernoulli_bias",
    "biggan_deep_networks",
    "biggan_networks",
    "conv",
    "conv_transpose",
    "downsample",
    "grouped_conv",
    "plain",
    "r3gan_stages",
    "sagan_networks",
    "sngan_networks",
    "spectral",
    "studiogan_biggan_deep_networks",
    "studiogan_sngan_networks",
    "upsample",
]


def __dir__() -> list[str]:
    """What a notebook completes: the public names, and none of the modules that they come from."""
    return __all__
