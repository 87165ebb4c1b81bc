"""What recipes read, and which marks they train with."""
