"""How many clusters? Flowers, where the answer is known, and customers, who have none. Writes choosing_k.png."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fastkmeans import KMeans, elbow, plot_elbow, plot_silhouette, silhouette_score

folder = Path(__file__).parent
flowers = pd.read_csv(folder / "iris.csv")
customers = pd.read_csv(folder / "customers.csv")[["years_in_job", "age", "expenses", "income", "assets", "loan"]]
customers = customers.astype(float).assign(**np.log1p(customers[["income", "assets"]]))
customers = (customers - customers.mean()) / customers.std()

grid = Figure(figsize=(11, 7.6), layout="constrained").subplots(2, 2)
for name, table, (left, right) in zip(("flowers", "customers"), (flowers, customers), grid, strict=True):
    result = elbow(table, k=10, random_state=0)
    print(f"{name}: best_k is {result.best_k}, the curve bends at {result.knees['kneedle']}")
    print(f"  {result.reason}")
    for k in (2, 3, 4):
        labels = KMeans(k, n_init=10, random_state=0).fit_predict(table)
        print(f"  k = {k}: silhouette {silhouette_score(table, labels):.2f}")
        if k == 3:
            plot_silhouette(table, labels, ax=right, title=f"{name}: k = 3")
    plot_elbow(result, ax=left, title=name)

# The answer for the flowers, which the fit never saw: 50 of each of three species, in this order.
species = np.repeat([0, 1, 2], 50)
labels = KMeans(3, n_init=10, random_state=0).fit_predict(flowers)
agreeing = sum(np.bincount(species[labels == label]).max() for label in range(3))
print(f"{agreeing} of 150 flowers are in the cluster of their species")
grid[0, 0].figure.savefig("choosing_k.png", dpi=72)
