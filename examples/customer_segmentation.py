"""Segments of a bank's loan applicants, and who pays back. Writes customer_segmentation.png into the current folder."""

from pathlib import Path

import numpy as np
import pandas as pd

from fastkmeans import KMeans, elbow, plot_centers

customers = pd.read_csv(Path(__file__).with_name("customers.csv"))
features = customers[["years_in_job", "age", "expenses", "income", "assets", "loan"]]

# Income and assets are skewed: on their logarithms a difference is a ratio. Then every feature weighs the same.
skewed = ["income", "assets"]
scaled = features.astype(float).assign(**np.log1p(features[skewed]))
scaled = (scaled - scaled.mean()) / scaled.std()

best_k = elbow(scaled, k=10, random_state=0).best_k
print(f"{len(customers)} customers, elbow: {best_k}")

# Clusters come in no order; starting again from the sorted centers numbers them by age.
found = KMeans(4, n_init=10, random_state=0).fit(scaled)
by_age = found.cluster_centers_[:, list(scaled).index("age")].argsort()
model = KMeans(4, init=found.cluster_centers_[by_age]).fit(scaled)

segments = features.groupby(model.labels_).mean()
unpaid = customers["status"].eq("bad").groupby(model.labels_).mean()
for segment, row in segments.iterrows():
    print(
        f"cluster {segment}: {(model.labels_ == segment).sum()} customers, age {row.age:.0f}, "
        f"{row.years_in_job:.0f} years in the job, income {row.income:.0f}, not paid back {100 * unpaid[segment]:.0f} %"
    )

sizes = np.bincount(model.labels_)
ax = plot_centers(segments, X=features, sizes=sizes, title="four segments of loan applicants")
ax.figure.savefig("customer_segmentation.png", dpi=80)
