"""The benchmark's modules lie beside its command and need neither a peer nor a model here."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "Benchmarks"))
