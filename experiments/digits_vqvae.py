from gvlab.config import EMAVQ, VQVAE, Adam, CodeMaps, Data, Evaluation, Experiment


def config() -> Experiment:
    return Experiment(
        name="digits_vqvae",
        data=Data(name="digits", quantization="binarize"),
        model=VQVAE(
            CodeMaps(width=64, downsamplings=3),
            EMAVQ(codes=64, features=16, start_at="kmeans"),
            optimizer=Adam(learning_rate=1e-3),
        ),
        steps=1500,
        batch_size=64,
        evaluation=Evaluation(samples=2000),
    )
