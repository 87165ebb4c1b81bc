"""Pictures of saliency: overlays, film strips, and the report that a browser shows."""

from salreg.plotting.cell import overlay
from salreg.plotting.comparison import comparison
from salreg.plotting.film_strip import film_strip
from salreg.plotting.report import report

__all__ = ["comparison", "film_strip", "overlay", "report"]
