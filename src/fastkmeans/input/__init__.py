"""What users pass: arrays, tables, weights and parameters, checked once."""
