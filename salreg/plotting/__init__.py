"""Pictures of saliency: overlays, film strips, and the report that a browser shows."""

from salreg.plotting.cell import overlay
from salreg.plotting.film_strip import film_strip
from salreg.plotting.report import report
from salreg.plotting.stack import stack

__all__ = ["film_strip", "overlay", "report", "stack"]
