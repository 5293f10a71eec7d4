"""Tumours unlike any benign one that was seen before. Writes anomaly_detection.png into the current folder."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fastkmeans import KMeans

tumours = pd.read_csv(Path(__file__).with_name("tumours.csv"))
malignant = tumours.pop("diagnosis").eq("malignant").to_numpy()

# What is normal is learnt from 200 benign tumours alone; all the others come later.
known = np.flatnonzero(~malignant)[:200]
later = np.setdiff1d(np.arange(len(tumours)), known)
mean, deviation = tumours.iloc[known].mean(), tumours.iloc[known].std()
scaled = (tumours - mean) / deviation
model = KMeans(3, n_init=10, random_state=0).fit(scaled.iloc[known])

# The score of a tumour is its distance to the nearest center, in standard deviations.
score = model.transform(scaled).min(axis=1)
limit = np.quantile(score[known], 0.95)
print(f"limit: {limit:.2f}, above it are 5 % of the known benign tumours")
for name, rows in (("benign", later[~malignant[later]]), ("malignant", later[malignant[later]])):
    flagged = (score[rows] > limit).sum()
    print(f"{name}: {flagged} of {len(rows)} flagged, {100 * flagged / len(rows):.0f} %")
odd = int(score.argmax())
unlike = (scaled.iloc[odd] - model.cluster_centers_[model.predict(scaled.iloc[[odd]])[0]]).abs().idxmax()
print(f"the oddest is row {odd}, by its {unlike}: {'malignant' if malignant[odd] else 'benign'}")

ax = Figure(figsize=(7.5, 3.6), layout="constrained").add_subplot()
bins = np.linspace(0, np.quantile(score, 0.99), 40)
for rows, color, name in ((~malignant, "#3f90da", "benign"), (malignant, "#ffa90e", "malignant")):
    rows = later[rows[later]]
    ax.hist(score[rows].clip(max=bins[-1]), bins=bins, color=color, alpha=0.7, label=f"{name} ({len(rows)})")
ax.axvline(limit, color="#1a1a1a", linestyle="--", label=f"limit {limit:.2f}")
ax.set_xlabel("distance to the nearest center (standard deviations; the last bar holds all beyond)")
ax.set_ylabel("tumours")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
ax.figure.savefig("anomaly_detection.png", dpi=80)
