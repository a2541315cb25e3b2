"""The benchmarks in Keras 3 on TensorFlow. The forms:

- `keras`: steps under `tf.function`;
- `keras jit_compile`: the same compiled by XLA.
"""

import itertools
import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from worker import Task, threads


def versions() -> dict[str, str]:
    return {"keras": keras.__version__, "tensorflow": tf.__version__}


# --- the networks ---------------------------------------------------------------------------------------------------


def dcgan_networks() -> tuple[keras.Model, keras.Model]:
    normal = keras.initializers.RandomNormal(0.0, 0.02)
    common = {"strides": 2, "padding": "same", "kernel_initializer": normal}

    def norm() -> layers.Layer:
        scale = keras.initializers.RandomNormal(1.0, 0.02)
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=scale)

    generator = keras.Sequential(
        [
            keras.Input((100,)),
            layers.Dense(7 * 7 * 128, use_bias=False, kernel_initializer=normal),
            layers.Reshape((7, 7, 128)),
            norm(),
            layers.ReLU(),
            layers.Conv2DTranspose(64, 5, use_bias=False, **common),
            norm(),
            layers.ReLU(),
            layers.Conv2DTranspose(1, 5, activation="tanh", **common),
        ]
    )
    discriminator = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(64, 5, **common),
            layers.LeakyReLU(0.2),
            layers.Conv2D(128, 5, use_bias=False, **common),
            norm(),
            layers.LeakyReLU(0.2),
            layers.Flatten(),
            layers.Dense(1, kernel_initializer=normal),
        ]
    )
    return generator, discriminator


def tutorial_networks() -> tuple[keras.Model, keras.Model]:
    up = {"padding": "same", "use_bias": False}
    generator = keras.Sequential(
        [
            keras.Input((100,)),
            layers.Dense(7 * 7 * 256, use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.3),
            layers.Reshape((7, 7, 256)),
            layers.Conv2DTranspose(128, 5, **up),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.3),
            layers.Conv2DTranspose(64, 5, strides=2, **up),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.3),
            layers.Conv2DTranspose(1, 5, strides=2, activation="tanh", **up),
        ]
    )
    discriminator = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(64, 5, strides=2, padding="same"),
            layers.LeakyReLU(0.3),
            layers.Conv2D(128, 5, strides=2, padding="same"),
            layers.LeakyReLU(0.3),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    return generator, discriminator


def mlp_networks() -> tuple[keras.Model, keras.Model]:
    image = keras.Input((28, 28, 1))
    h = layers.Flatten()(image)
    for _ in range(2):
        h = layers.Dense(200, activation="tanh")(h)
    encoder = keras.Model(image, [layers.Dense(50)(h), layers.Dense(50)(h)])
    decoder = keras.Sequential(
        [
            keras.Input((50,)),
            layers.Dense(200, activation="tanh"),
            layers.Dense(200, activation="tanh"),
            layers.Dense(784),
            layers.Reshape((28, 28, 1)),
        ]
    )
    return encoder, decoder


def guide_networks() -> tuple[keras.Model, keras.Model]:
    image = keras.Input((28, 28, 1))
    common = {"strides": 2, "padding": "same", "activation": "relu"}
    h = layers.Conv2D(32, 3, **common)(image)
    h = layers.Conv2D(64, 3, **common)(h)
    h = layers.Dense(16, activation="relu")(layers.Flatten()(h))
    encoder = keras.Model(image, [layers.Dense(2)(h), layers.Dense(2)(h)])
    decoder = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(7 * 7 * 64, activation="relu"),
            layers.Reshape((7, 7, 64)),
            layers.Conv2DTranspose(64, 3, **common),
            layers.Conv2DTranspose(32, 3, **common),
            layers.Conv2DTranspose(1, 3, padding="same"),
        ]
    )
    return encoder, decoder


# --- the benchmarks -------------------------------------------------------------------------------------------------


def gan(form: str, pixels: np.ndarray, networks: Callable) -> Task:
    """Simultaneous updates sharing one generator pass, and the average of the generator and its statistics."""
    generator, discriminator = networks()
    g_adam = keras.optimizers.Adam(2e-4, beta_1=0.5, epsilon=1e-8)
    d_adam = keras.optimizers.Adam(2e-4, beta_1=0.5, epsilon=1e-8)
    g_adam.build(generator.trainable_variables)
    d_adam.build(discriminator.trainable_variables)
    averaged = [variable.value for variable in generator.weights if variable.dtype == "float32"]
    average = [tf.Variable(variable) for variable in averaged]
    images = tf.constant((pixels[:6400].astype(np.float32) - 127.5) / 127.5)

    @tf.function(jit_compile=form == "keras jit_compile")
    def step(t: tf.Tensor) -> tf.Tensor:
        x = tf.slice(images, [t % 100 * 64, 0, 0, 0], [64, 28, 28, 1])
        with tf.GradientTape(persistent=True) as tape:
            fake = generator(tf.random.normal((64, 100)), training=True)
            real_logits, fake_logits = discriminator(x, training=True), discriminator(fake, training=True)
            d_loss = tf.reduce_mean(tf.nn.softplus(-real_logits) + tf.nn.softplus(fake_logits))
            g_loss = tf.reduce_mean(tf.nn.softplus(-fake_logits))
        d_grads = tape.gradient(d_loss, discriminator.trainable_variables)
        g_grads = tape.gradient(g_loss, generator.trainable_variables)
        d_adam.apply(d_grads)
        g_adam.apply(g_grads)
        count = tf.cast(t, tf.float32)
        decay = tf.minimum(0.999, (1 + count) / (10 + count))
        for mean, variable in zip(average, averaged, strict=True):
            mean.assign(decay * mean + (1 - decay) * variable)
        return tf.stack([d_loss, g_loss])

    counts = {"generator": _count(generator), "discriminator": _count(discriminator)}
    return Task(counts, _over(step, (tf.constant(t) for t in itertools.count())))


def vae(form: str, networks: tuple[keras.Model, keras.Model], draw: Callable, inputs: Iterator, epsilon: float) -> Task:
    """The ELBO with its analytic KL and one sample of the latent; `draw` makes a batch of an element of `inputs`."""
    encoder, decoder = networks
    variables = [*encoder.trainable_variables, *decoder.trainable_variables]
    adam = keras.optimizers.Adam(1e-3, epsilon=epsilon)
    adam.build(variables)

    @tf.function(jit_compile=form == "keras jit_compile")
    def step(which: tf.Tensor) -> tf.Tensor:
        x = draw(which)
        with tf.GradientTape() as tape:
            mean, logvar = encoder(x, training=True)
            raw = decoder(mean + tf.exp(0.5 * logvar) * tf.random.normal(tf.shape(mean)), training=True)
            cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=raw)
            reconstruction = -tf.reduce_sum(cross_entropy, [1, 2, 3])
            kl = 0.5 * tf.reduce_sum(mean**2 + tf.math.expm1(logvar) - logvar, 1)
            loss = tf.reduce_mean(kl - reconstruction)
        adam.apply(tape.gradient(loss, variables))
        return loss[None]

    return Task({"encoder": _count(encoder), "decoder": _count(decoder)}, _over(step, inputs))


def vae_mlp(form: str, pixels: np.ndarray) -> Task:
    """Whole epochs in random order; a batch is drawn, scaled and binarised inside the step."""
    images = tf.constant(pixels)

    def orders() -> Iterator[tf.Tensor]:
        while True:
            order = tf.random.shuffle(tf.range(len(pixels)))
            yield from tf.reshape(order[: len(pixels) // 100 * 100], (-1, 100))

    def draw(index: tf.Tensor) -> tf.Tensor:
        x = tf.cast(tf.gather(images, index), tf.float32) / 255
        return tf.cast(tf.random.uniform(tf.shape(x)) < x, tf.float32)

    return vae(form, mlp_networks(), draw, orders(), epsilon=1e-4)


def vae_conv(form: str, pixels: np.ndarray) -> Task:
    images = tf.constant((pixels[:6400] > 127).astype(np.float32))

    def draw(t: tf.Tensor) -> tf.Tensor:
        return tf.slice(images, [t % 50 * 128, 0, 0, 0], [128, 28, 28, 1])

    return vae(form, guide_networks(), draw, (tf.constant(t) for t in itertools.count()), epsilon=1e-8)


TASKS = {
    "dcgan": lambda form, pixels: gan(form, pixels, dcgan_networks),
    "dcgan_tutorial": lambda form, pixels: gan(form, pixels, tutorial_networks),
    "vae_mlp": vae_mlp,
    "vae_conv": vae_conv,
}


def make(benchmark: str, form: str, pixels: np.ndarray) -> Task:
    tf.config.threading.set_intra_op_parallelism_threads(threads())
    keras.utils.set_random_seed(0)
    return TASKS[benchmark](form, pixels)


def _count(network: keras.Model) -> int:
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


def _over(step: Callable, inputs: Iterator) -> Callable[[int], np.ndarray]:
    return lambda steps: np.stack([loss.numpy() for loss in [step(next(inputs)) for _ in range(steps)]])
