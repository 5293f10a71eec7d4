"""Flowers in pictures: every pair of features, the principal plane, and profiles. Writes pictures.png."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from fastkmeans import cluster, plot_centers, plot_clusters, plot_pairs

flowers = pd.read_csv(Path(__file__).with_name("iris.csv"))
labelled, centers, model = cluster(flowers, 3, n_init=10, random_state=0)

# Clusters come in no order: here they are named by the size of their petals.
by_petal = centers["petal_length_cm"].rank().astype(int)
names = [["short petals", "middle petals", "long petals"][rank - 1] for rank in by_petal]
print(f"{model.n_clusters_} clusters of {len(labelled)} flowers")
for name, size, length in zip(names, centers["size"], centers["petal_length_cm"], strict=True):
    print(f"{name}: {size} flowers, {length:.1f} cm long on average")

figure = Figure(figsize=(12.5, 6.8), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(1.35, 1))
plot_pairs(labelled, model, names=names, figure=left)
upper, lower = right.subplots(2, 1)
plot_clusters(labelled, model, names=names, ax=upper, title="principal plane")
plot_centers(model, X=labelled, names=names, ax=lower, title="profiles")
figure.savefig("pictures.png", dpi=60)
