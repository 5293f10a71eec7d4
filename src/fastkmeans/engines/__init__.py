"""Who runs the steps. An engine holds the samples and answers step, move, own_distances, centers_without and inertia; the loop
that asks (fastkmeans.fitting.loop) is one for all. `local` is this machine's threads."""
