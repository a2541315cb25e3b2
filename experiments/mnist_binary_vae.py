"""A VAE of 200 bits on binarised MNIST, 20 epochs, to be swept over estimators of the gradient.

    gvlab train experiments/mnist_binary_vae.py
    gvlab compare experiments/mnist_binary_vae.py --seeds 3 --out experiments/binary_latents --sweep \
"estimator=DisARM,ARM,VIMCO(2),NVIL,GumbelSoftmax,StraightThrough"

Networks of Yin & Zhou 2019 (784-200-200-200, there with LeakyReLU, here with ReLU) and their batch of 50; they train
1,200 epochs on 50,000 static examples with Adam's rate of 1e-4, this file 20 on 60,000 that are binarised anew, with
5e-4: in 20 epochs by 1e-4 DisARM's bound came to -159 nats where it has -132 by 5e-4 and -134 by 1e-3 (batches of seed
0 at the end of training). VIMCO(2) decodes two draws a step, as ARM and DisARM do.

Cost: 2 CPU minutes a run, measuring included, by the clock on one of two busy cores; 38 for the 18 runs.
`gvlab verify` on one core (`taskset -c 0`) finds the same bits; on two DisARM's seed 0 is off from step 200 on.
Reached (`experiments/binary_latents/table.md`, three seeds): iw_bound_nats, k = 100, from -108.7 (GumbelSoftmax) over
-112.9 (DisARM) to -117.4 (NVIL).
"""

from gvlab.config import MLP, Adam, BinaryVAE, Data, Evaluation, Experiment


def config() -> Experiment:
    return Experiment(
        name="mnist_binary_vae",
        data=Data(name="mnist", quantization="binarize"),
        model=BinaryVAE(network=MLP(hidden=(200, 200)), latent_dim=200, optimizer=Adam(learning_rate=5e-4)),
        steps=24_000,
        batch_size=50,
        log_every=200,
        sample_every=24_000,
        checkpoint_every=6_000,
        evaluation=Evaluation(k=100),
    )
