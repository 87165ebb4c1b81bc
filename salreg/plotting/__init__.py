"""Pictures of saliency: overlays and film strips. Needs matplotlib."""

from salreg.plotting.film_strip import film_strip
from salreg.plotting.overlay import overlay
from salreg.plotting.stack import stack

__all__ = ["film_strip", "overlay", "stack"]
