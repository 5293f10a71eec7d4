"""The compiled modules, one per .pyx file of kmeans_core/. The .pyi files in this folder declare what they hold."""
