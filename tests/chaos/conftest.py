"""The modules of this folder are programs: they import each other by their names alone."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
