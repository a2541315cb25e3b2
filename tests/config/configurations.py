"""Experiments of every kind."""

import itertools

from gvlab import config as c

NETWORKS = [c.DCGAN(), c.DCGAN(width=7), c.Article(), c.MLP(), c.MLP(hidden=(3,)), c.MLP(hidden=(5, 4, 3))]
GAN_NETWORKS = [*NETWORKS, c.TwoMLPs(discriminator=(9, 8)), c.MaxoutMLP(generator=(7,), pieces=2), c.R3GAN((32, 16))]
RESIDUAL = [c.SNGAN(), c.SNGAN(8, "studiogan"), c.SAGAN(3), c.BigGAN(), c.BigGANDeep(layout="studiogan")]
STYLES = [c.StyleGAN2(), c.StyleGAN2(64, full_until=32, architecture="skip", mixing=0, group=32)]
VAE_NETWORKS = [
    *NETWORKS[2:],
    c.Convolutions(),
    c.Convolutions((3,), (4,), 7),
    c.ReluMLP(hidden=(6,)),
    c.TwoLayerMLP(first=12, top_hidden=(4,)),
]
LIKELIHOODS = [
    c.Bernoulli(),
    c.Gaussian(),
    c.Gaussian(variance=0.1 + 0.2),  # 0.30000000000000004: every digit counts
    c.LearnedGaussian(),
    c.DiscretizedLogistic(),
    c.Categorical(levels=2),
    c.MixtureOfLogistics(components=3),
    c.SharedGaussian(),
]
OBJECTIVES = [
    c.ELBO(),
    c.Capacity(gamma=10, end=0.1 + 0.2, steps=7),
    c.FreeNats(0),
    c.TotalCorrelation(beta=2),
    c.DisentangledMeans(off_diagonal=0.1 + 0.2),
    c.DisentangledLatents(),
    c.Information(alpha=-1, kernel="gaussian"),
    c.Factor(gamma=35, hidden=(3,), optimizer=c.SGD()),
    c.Adversarial(weight=0.1 + 0.2),
    c.StickingTheLanding(),
    c.ImportanceWeighted(),
    c.DoublyReparametrised(),
    c.MultiplyImportanceWeighted(),
    c.PartiallyImportanceWeighted(groups=4),
    c.CombinedImportanceWeighted(share=1),
    c.Renyi(alpha=-1.5),
]
PRIORS = [c.StandardNormal(), c.Mixture(3), c.VaDE(3, 7, 9), c.Vamp(components=7), c.Flow("maf", 2, (5,))]
POSTERIORS = [
    c.FullCovariance(),
    c.InverseAutoregressive(3, (5, 7), 2),
    c.Planar(1, 2),
    c.Radial(2),
    c.NormalisedMeans(0.1 + 0.2),
]
ADAMS = [c.Adam(), c.Adam(learning_rate=1 / 3, eps=1e-300, drop_steps=(10, 20), drop_factor=2.0), c.Adam(b1=0.0, b2=0)]
OPTIMIZERS = [
    *ADAMS,
    c.Adam(schedule=c.Cosine(steps=7, end=0.5)),
    c.SGD(schedule=c.PerImage(c.Exponential(steps=700))),
    c.AdamW(weight_decay=0.0, schedule=c.Linear(begin=0.0, end=1.0)),
    c.RMSprop(decay=0.99),
    c.SGD(momentum=0.5),
    c.Clipped(norm=0.1, optimizer=c.SGD()),
    c.AnnealedAdam(steps=9, images=20_000_000),
    c.Boxed(bound=0.1, optimizer=c.LazyAdam(every=4)),
    c.Orthogonal(optimizer=c.AdamW()),
    c.Orthogonal(0.1 + 0.2, c.Clipped(optimizer=c.Boxed())),
]
TERMS = [
    (c.R1(),),
    (c.R1(weight=0.1 + 0.2), c.R2(weight=0)),
    (c.GradientPenalty(target=0.5), c.LeCam(start=0)),
    (c.Every(steps=4, inner=c.Dragan()), c.Centring()),
    (c.Scheduled(inner=c.Every(inner=c.R2())), c.Scheduled(c.R1(), c.Cosine(begin=0.0, end=1.0))),
    (c.ZeroCentred(), c.OneSidedGradientPenalty(), c.R1FiniteDifference(), c.R2FiniteDifference(radius=1), c.Dragan()),
    (c.ClippedDragan(weight=0.1 + 0.2),),
    (c.RealConsistency(), c.FakeConsistency(transform=c.DiffAugment(("translation",))), c.LatentConsistency()),
]
GANS = [
    c.GAN(network=network, update=update, contest=contest, discriminator_steps=steps, generator_optimizer=adam)
    for network, contest, (update, steps), adam in itertools.product(
        GAN_NETWORKS,
        (c.NonSaturating(), c.Hinge()),
        (("alternating", 1), ("alternating", 3), ("simultaneous", 1)),
        ADAMS[:2],
    )
]
GANS += [c.GAN(network) for network in RESIDUAL] + [c.GAN(c.MLP(), discriminator_terms=terms) for terms in TERMS]
GANS += [
    c.GAN(c.MLP(), update="separate", half_life=c.HalfLife(schedule=c.Linear(begin=0.0, end=1.0))),
    c.GAN(c.MLP(), contest=c.Smoothed(c.LeastSquares(), target=0.75)),
    c.GAN(c.MLP(), contest=c.TopK(c.Smoothed(c.Minimax(), target=0.7))),
    c.GAN(c.MLP(), ema_start=20_000),
    c.GAN(c.MLP(), contest=c.TopK(share=1.0, schedule=c.Exponential(10, end=0.5))),
    *(c.GAN(network, generator_terms=(c.Every(4, c.PathLength()), c.LatentDiversity())) for network in STYLES),
    c.GAN(c.MLP(), packing=2, generator_terms=(c.Scheduled(c.LatentDiversity()),)),
]
OF_CLASSES = [
    c.GAN(
        c.SNGAN(head=c.Classifier()),
        conditional=True,
        discriminator_terms=(c.RealClasses(), c.Every(2, c.FakeClasses(0.5))),
        generator_terms=(c.FakeClasses(weight=0),),
    ),
    c.GAN(
        c.BigGAN(head=c.Embedding(64)),
        conditional=True,
        discriminator_terms=(c.RealContrast(temperature=0.1 + 0.2),),
        generator_terms=(c.FakeContrast(),),
    ),
    c.GAN(
        c.BigGANDeep(head=c.Embedding()),
        conditional=True,
        discriminator_terms=(c.RealDataToData(margin=1),),
        generator_terms=(c.FakeDataToData(temperature=0.25),),
    ),
    c.GAN(c.SAGAN(head=c.ExtraClass()), contest=c.MultiHinge(), conditional=True),
]
"""Whose discriminators say more than logits."""
GANS += OF_CLASSES
VAES = (
    [
        c.VAE(network=network, likelihood=likelihood, optimizer=adam, beta=beta, conditional=beta == 0)
        for network, likelihood, adam, beta in itertools.product(VAE_NETWORKS, LIKELIHOODS, ADAMS, (0, 1.0, 4))
    ]
    + [c.VAE(optimizer=optimizer) for optimizer in OPTIMIZERS[3:]]
    + [c.VAE(network=network, objective="importance_weighted", num_samples=5) for network in VAE_NETWORKS]
    + [c.VAE(objective=objective, num_samples=16) for objective in OBJECTIVES]
    + [c.VAE(prior=prior) for prior in PRIORS]
    + [c.VAE(posterior=posterior) for posterior in POSTERIORS]
    + [c.VAE(objective=c.LearnedSimilarity(gamma=0.1 + 0.2, width=3, units=2, optimizer=c.SGD()))]
    + [c.VAE(posterior=c.VonMisesFisher(), prior=c.UniformSphere())]
    + [c.VAE(inference=c.Aggressive(3, 2, 7))]
    + [c.VAE(beta=4.0, kl_schedule=c.Cyclical(steps=9, cycles=2, rise=1.0))]
)
CODES = [
    c.VQVAE(),
    c.VQVAE(critic=c.Patches(0.1 + 0.2, 7, 3, 2, c.SGD())),
    c.VQVAE(c.CodeMLP(3, (5,))),
    c.VQVAE(c.CodeWaves(3, (2, 5)), likelihood=c.SharedGaussian()),
    *(
        c.VQVAE(c.CodeMaps(8, 4, blocks=0), quantizer, commitment=0.1 + 0.2, conditional=True, optimizer=c.SGD())
        for quantizer in (
            c.VQ(7, gradient="rotation"),
            c.EMAVQ(decay=0.0, start_at="kmeans", revive_below=0.1 + 0.2),
            c.ResidualVQ(levels=2),
            c.SimVQ(features=3),
            c.FSQ((3, 4)),
            c.LFQ(entropy=0),
            c.BSQ(inverse_temperature=7),
        )
    ),
    *(c.VQVAE(likelihood=likelihood) for likelihood in LIKELIHOODS),
]
BITS = [
    c.CategoricalVAE(),
    c.CategoricalVAE(c.MLP((3,)), 5, 4, c.StraightThrough(0.1 + 0.2), c.Exponential(7, end=0.5), conditional=True),
    *(c.CategoricalVAE(likelihood=likelihood) for likelihood in LIKELIHOODS[1:]),
    c.BinaryVAE(),
    *(
        c.BinaryVAE(c.MLP((3,)), 5, estimator, conditional=True, optimizer=c.SGD())
        for estimator in (
            c.ARM(),
            c.VIMCO(3),
            c.NVIL((2, 3), decay=0.1 + 0.2),
            c.Reinforce(0.0),
            c.GumbelSoftmax(1 / 3),
            c.StraightThrough(2),
        )
    ),
    *(c.BinaryVAE(likelihood=likelihood) for likelihood in LIKELIHOODS[1:]),
]
HIERARCHIES = [
    c.HierarchicalVAE(),
    c.HierarchicalVAE(c.VDVAE("8d8", "1x2,8m1,8x3", 16, 2, 0.5, 1, posterior=c.Residual(bound=0.1 + 0.2)), beta=0),
    c.HierarchicalVAE(c.NVAE("8d8", "1x2,8m1,8x3", 16, 2, 3, 0.1 + 0.2, posterior=c.Absolute())),
    c.HierarchicalVAE(regulariser=c.SpectralRegularisation(0.1 + 0.2, 3)),
    c.HierarchicalVAE(c.LadderMLP((3, 2), (8, 4)), c.CombinedImportanceWeighted(), c.MixtureOfLogistics(), ema_decay=0),
    c.HierarchicalVAE(kl_warmup_steps=7, optimizer=c.Skipped(0.1 + 0.2, 3, c.Clipped(optimizer=c.AdamW()))),
    c.HierarchicalVAE(objective=c.MultiplyImportanceWeighted(3), num_samples=6, optimizer=c.Orthogonal()),
]
DATA = [c.Data(), c.Data(name="mnist", flip=True), c.Data(quantization="binarize"), c.Data(quantization="dequantize")]
GREY, BINARY = c.Data(flip=True), c.Data(quantization="binarize")


def levels_of(model, otherwise):
    """The data that fit a likelihood of discrete levels."""
    return {c.DiscretizedLogistic: GREY, c.MixtureOfLogistics: GREY, c.Categorical: BINARY}.get(
        type(model.likelihood), otherwise
    )


REGULARISED = [
    c.RAE(),
    c.RAE(c.MLP((3,)), 2, c.DecoderDecay(0.1 + 0.2), 0, c.SGD()),
    c.RAE(regulariser=c.DecoderSlope()),
    c.RAE(regulariser=c.DecoderSpectralNorm()),
]
TRANSLATORS = [
    c.Pix2Pix(),
    c.Pix2Pix(c.Mask(0.1 + 0.2), c.UNet(3, 0.1), 2, 1, 0.0, c.SGD(), c.Clipped()),
    *(c.Pix2Pix(seen) for seen in (c.Blur(0.5), c.Downsample(4), c.Grey(), c.Half(), c.Block(3))),
    c.CycleGAN(),
    c.CycleGAN(c.Blur(0.1 + 0.2), c.ResidualTranslator(3, 2), 2, 1, 0.0, 0.1 + 0.2, 0, c.SGD(), c.Clipped()),
]
FIRST = c.First("ab" * 32, 10, "cd" * 32, c.to_json(c.Experiment(name="first", model=c.VAE(), steps=10)))
DENSITIES = [
    *(c.Density(of, c.Adam(0.01)) for of in (c.Mixture(3), c.Flow("maf"), c.CausalTransformer(8, 1, 2))),
    c.Density(c.GatedPixelCNN(rows=2, width=4)),
    c.GAN(c.WaveGAN(16, 3, 512)),
    c.GAN(c.SentenceConvolutions(8, 1)),
    c.GAN(c.SentenceConvolutions(8, 1, c.GumbelDraw(0.1 + 0.2))),
    c.Density(c.SentenceGRU(8, 4)),
    c.VAE(c.SentenceGRU(8), 2, c.FreeNats(8.0), c.Sentences(0.3)),
    c.VAE(c.SentenceTransformer(8, 1, 2), 2, likelihood=c.Sentences(), kl_warmup_steps=5, prior=c.Flow()),
    c.Spectrograms(),
    c.Spectrograms(c.VAE(c.MLP((3,)), 2, likelihood=c.LearnedGaussian()), 64, 16, 4),
    c.SecondStage(on="runs/first/seed-0"),
    c.SecondStage(c.Density(c.Mixture()), "runs/first/seed-0", FIRST),
    c.SecondStage(c.VAE(c.ReluMLP(hidden=(4,)), 2, likelihood=c.SharedGaussian()), "runs/first/seed-0", FIRST),
]
"""And second stages."""
SMALL = c.Experiment(name="small", model=c.VAE(), steps=10)
EXPERIMENTS = [
    *(c.Experiment(name="gan", model=model, steps=1 + i, seed=i) for i, model in enumerate(GANS)),
    *(c.Experiment(name="vae-1.b", model=m, steps=10**6, data=levels_of(m, DATA[i % 4])) for i, m in enumerate(VAES)),
    *(c.Experiment(name="vqvae", model=m, steps=9, data=levels_of(m, DATA[i % 4])) for i, m in enumerate(CODES)),
    *(c.Experiment("bits", model, steps=9, data=levels_of(model, DATA[i % 4])) for i, model in enumerate(BITS)),
    *(c.Experiment("rae", model, steps=9) for model in REGULARISED),
    *(c.Experiment("pix2pix", model, steps=9) for model in TRANSLATORS),
    *(c.Experiment("ladder", model, steps=9, data=levels_of(model, DATA[2])) for model in HIERARCHIES),
    *(c.Experiment(name="density", model=model, steps=3) for model in DENSITIES),
    c.Experiment(
        name="ünï cödé",
        model=c.VAE(),
        steps=2**31,
        batch_size=1,
        seed=2**31 - 1,
        log_every=1,
        sample_every=2,
        checkpoint_every=3,
        keep_every=6,
        evaluation=c.Evaluation(samples=2, k=1, split="train", features=("pixels", "mnist"), measures=("ais", "prd")),
    ),
]
