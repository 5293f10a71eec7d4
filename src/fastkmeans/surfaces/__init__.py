"""Other packages' classes over this engine, under the names that code written for those packages calls."""
