"""Linen modules: generators, discriminators, encoders and decoders.

Every network is called with the class condition `y` (one-hot, or None) as its second argument and with `train`:

- a generator:     `(z [batch, latent], y=None, *, train) -> x [batch, *shape]`, images in [-1, 1];
- a discriminator: `(x, y=None, *, train) -> logits [batch]`;
- an encoder:      `(x, y=None, *, train) -> (mean [batch, latent_dim], logvar [batch, latent_dim])`;
- a decoder:       `(z, y=None, *, train) -> raw [batch, *shape[:-1], shape[-1] * parameters]`, the likelihood's own
  parameters, without an output non-linearity.

`train` switches BatchNorm between the batch's statistics, which it then also averages into the collection
`batch_stats`, and that average. A network with BatchNorm has the field `axis_name`.
"""

from gvlab.networks.article import ArticleDecoder, ArticleDiscriminator, ArticleEncoder, ArticleGenerator
from gvlab.networks.convolution import conv, conv_transpose
from gvlab.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from gvlab.networks.grouped import grouped_conv
from gvlab.networks.layers import Conv, ConvTranspose, append_label
from gvlab.networks.maxout import MaxoutDiscriminator, NormalizedMLPGenerator
from gvlab.networks.mlp import MLPDecoder, MLPDiscriminator, MLPEncoder, MLPGenerator, bernoulli_bias
from gvlab.networks.r3gan import R3GANDiscriminator, R3GANGenerator
from gvlab.networks.r3gan import stages as r3gan_stages
from gvlab.networks.resampling import downsample, upsample

__all__ = [
    "ArticleDecoder",
    "ArticleDiscriminator",
    "ArticleEncoder",
    "ArticleGenerator",
    "Conv",
    "ConvTranspose",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "MLPDecoder",
    "MLPDiscriminator",
    "MLPEncoder",
    "MLPGenerator",
    "MaxoutDiscriminator",
    "NormalizedMLPGenerator",
    "R3GANDiscriminator",
    "R3GANGenerator",
    "append_label",
    "bernoulli_bias",
    "conv",
    "conv_transpose",
    "downsample",
    "grouped_conv",
    "r3gan_stages",
    "upsample",
]


def __dir__() -> list[str]:
    """What a notebook completes: the public names, and none of the modules that they come from."""
    return __all__
