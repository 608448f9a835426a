#!/usr/bin/env python3
"""Makes tests/eval/tsne_reference.json: a small set of points and what scikit-learn makes of it, which the tests of
eval/tsne and eval/code_map are held against. Needs: pip install scikit-learn (1.9.1 made the committed file)."""
import json
import pathlib

import numpy
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.metrics import log_loss, silhouette_score
from sklearn.preprocessing import StandardScaler

PERPLEXITY, FOLDS = 15, 4


def main():
    random = numpy.random.default_rng(5)
    # Four clouds that overlap, of unlike size, width and scale of their features.
    sizes, dims = [60, 45, 40, 35], 7
    labels = numpy.repeat(numpy.arange(4), sizes)
    centres = random.normal(size=(4, dims)) * 1.3
    widths = numpy.array([0.8, 1.2, 1.0, 1.5])[labels][:, None]
    points = centres[labels] + random.normal(size=(len(labels), dims)) * widths
    points *= numpy.array([1, 10, 0.1, 1, 3, 0.5, 1])
    points = points.astype(numpy.float32).round(4).astype(numpy.float32)
    folds = random.permutation(len(labels)) % FOLDS

    def final_kl(init, seed):
        tsne = TSNE(perplexity=PERPLEXITY, method="exact", init=init, random_state=seed, n_iter_without_progress=10**6)
        return float(tsne.fit(points).kl_divergence_)

    kl = {"pca": final_kl("pca", 0), "random": sorted(final_kl("random", seed) for seed in range(8))}

    accuracy, objective = [], []
    for fold in range(FOLDS):
        train, test = folds != fold, folds == fold
        scaler = StandardScaler().fit(points[train])
        probe = LogisticRegression(C=1.0, tol=1e-9, max_iter=10000).fit(scaler.transform(points[train]), labels[train])
        accuracy.append(float(probe.score(scaler.transform(points[test]), labels[test])))
        loss = log_loss(labels[train], probe.predict_proba(scaler.transform(points[train])), labels=range(4))
        objective.append(float(loss + (probe.coef_ ** 2).sum() / (2 * train.sum())))

    result = {
        "scikit_learn": sklearn.__version__, "num_dims": dims, "perplexity": PERPLEXITY, "num_folds": FOLDS,
        "labels": labels.tolist(), "folds": folds.tolist(),
        "kl_divergence": kl,
        "silhouette": float(silhouette_score(points, labels)),
        "fold_accuracy": accuracy, "fold_objective": objective,
        "points": [round(float(value), 4) for value in points.flatten()],
    }
    path = pathlib.Path(__file__).parent / "tsne_reference.json"
    text = ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in result.items())
    path.write_text("{\n" + text + "\n}\n")
    print({key: value for key, value in result.items() if key not in ("labels", "folds", "points")})


if __name__ == "__main__":
    main()
