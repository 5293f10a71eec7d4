"""The door to the compiled layer: one module per file of kmeans_core/, described by the .pyi files beside this one."""
