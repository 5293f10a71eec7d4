"""A photograph in 16 colours. Writes image_compression.png and what it compares into the current folder."""

from pathlib import Path

import numpy as np
from PIL import Image

from fastkmeans import KMeans

photo = Image.open(Path(__file__).with_name("china.jpg"))
pixels = np.asarray(photo, dtype=np.float32).reshape(-1, 3)
photo.save("before.png", optimize=True)
print(f"{photo.width} x {photo.height} pixels, {len(np.unique(pixels, axis=0))} colours")
print(f"before: {Path('before.png').stat().st_size / 1000:.0f} kB")

for k in (4, 16, 64):
    model = KMeans(k, random_state=0).fit(pixels)
    # One byte a pixel, and the colours once: a palette image.
    compressed = Image.fromarray(model.labels_.astype(np.uint8).reshape(photo.height, photo.width))
    compressed.putpalette(model.cluster_centers_.round().astype(np.uint8).tobytes())
    compressed.save(f"after{k}.png", optimize=True)
    error = np.sqrt(model.inertia_ / pixels.size)
    print(f"{k} colours: {Path(f'after{k}.png').stat().st_size / 1000:.0f} kB, off by {error:.1f} of 255 levels")

side_by_side = Image.new("RGB", (2 * photo.width + 10, photo.height), "white")
side_by_side.paste(photo, (0, 0))
side_by_side.paste(Image.open("after16.png").convert("RGB"), (photo.width + 10, 0))
side_by_side.quantize(256).save("image_compression.png", optimize=True)
