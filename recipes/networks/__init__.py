"""What recipes train."""
