"""``make fuzz``: the large run of Schemathesis over both services, written to ``build/fuzz.json``.

``FUZZ_EXAMPLES`` (default 100) cases of each kind for every operation; another seed each time.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.api.conftest import served_custodian, served_gate
from tests.api.fuzzing import fuzz
from tests.gate.founding import copied, found
from tests.gate.world import muted_power_cuts, short_folder


def main() -> int:
    examples = int(os.environ.get("FUZZ_EXAMPLES", "100"))
    rows = []
    with short_folder() as first, muted_power_cuts():
        founded = found(first)
        for serve in (served_gate, served_custodian):
            with short_folder() as state:
                world = copied(founded, state)
                rows.append(fuzz(serve(world), examples).to_json())
                world.close()
            row = rows[-1]
            print(
                f"{row['service']:<10} {row['cases']:>6} requests  {row['server_errors']} of 5xx"
                f"  {row['undocumented']} undocumented  {row['seconds']} s"
            )
            for what, why in row["failures"].items():
                print(f"  {what}\n    {why.splitlines()[0] if why else ''}")
    Path("build").mkdir(exist_ok=True)
    Path("build/fuzz.json").write_text(json.dumps({"examples": examples, "services": rows}, indent=1) + "\n")
    return 1 if any(row["server_errors"] or row["undocumented"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
