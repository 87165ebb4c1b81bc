"""One YAML per recipe."""
