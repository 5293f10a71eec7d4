"""Results as people read them: words and numbers, and HTML for notebooks."""
