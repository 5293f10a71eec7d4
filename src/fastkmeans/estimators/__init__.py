"""What users import: classes and functions with scikit-learn's contract."""
