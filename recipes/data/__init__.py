"""The data that recipes read, and the marks that they train with."""
