"""From a configuration to a trained and tested module in a folder of its own."""
