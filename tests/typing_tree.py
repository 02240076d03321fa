"""Links the mapped folders under .typing/qir/, where mypy and editors look for them: type checkers do not run the
import hook of an editable install. Run before mypy; `make types` does."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TREE = ROOT / ".typing" / "qir"

if __name__ == "__main__":
    TREE.mkdir(parents=True, exist_ok=True)
    for link, target in {"__init__.py": "qir/__init__.py", "passes": "passes", "backends": "backends"}.items():
        (TREE / link).unlink(missing_ok=True)
        (TREE / link).symlink_to(ROOT / target)
