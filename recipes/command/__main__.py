"""``python -m salreg.recipes.command`` is ``salreg``."""

import sys

from salreg.recipes.command.cli import main

sys.exit(main())
