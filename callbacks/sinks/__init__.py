"""The places that snapshots are written to: files, a page, and loggers."""

from salreg.callbacks.sinks.every_sink import EverySink
from salreg.callbacks.sinks.files import HISTORY, Files, save_png
from salreg.callbacks.sinks.loggers import Loggers
from salreg.callbacks.sinks.page import Page
from salreg.callbacks.sinks.run_folder import RunFolder
from salreg.callbacks.sinks.sink import Sink

__all__ = ["HISTORY", "EverySink", "Files", "Loggers", "Page", "RunFolder", "Sink", "save_png"]
