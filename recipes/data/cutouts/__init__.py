"""The pieces that made photos are put together from; see ``made_photos``."""
