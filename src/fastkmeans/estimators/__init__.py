"""The classes and functions that users import. They follow scikit-learn's contract."""
