"""No wide instruction outside the kernels: reads the object files of a build, fails with the list of leaks.

    python3 .ci/check_instructions.py build/dev

Each instruction set's kernels must export their table and nothing else (a second symbol could be linked into a
path that a narrow CPU runs), and every other object must keep to the baseline registers.
"""

import re
import subprocess
import sys
from pathlib import Path

WIDE = re.compile(r"%[yz]mm\d|%k[0-7]\b")
ALLOWED = {"v4vnni": None, "v4": re.compile(r"\bvpdp[bw]"), "v3": re.compile(r"%zmm\d|%k[0-7]\b")}


def output_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def leaks(path: Path) -> list[str]:
    """Describe what is wrong with one object file."""
    kernel = re.search(r"libkernels_(\w+)\.a\.p", str(path))
    found = []
    if kernel:
        exported = [line.split()[-1] for line in output_of("nm", "--defined-only", "-g", str(path)).splitlines()]
        if exported != [f"kernels_{kernel[1]}"]:
            found.append(f"{path}: exports {exported}")
    forbidden = ALLOWED.get(kernel[1], WIDE) if kernel else WIDE
    if forbidden:
        function = ""
        for line in output_of("objdump", "-d", "--no-show-raw-insn", str(path)).splitlines():
            if line.endswith(">:"):
                function = line.split("<")[-1][:-2]
            elif forbidden.search(line):
                found.append(f"{path}: {function}: {line.strip()}")
                break
    return found


def main() -> None:
    objects = sorted(Path(sys.argv[1]).glob("kmeans_core/**/*.o"))
    if not objects:
        sys.exit(f"{sys.argv[1]} holds no object files of kmeans_core: build first.")
    found = [leak for path in objects for leak in leaks(path)]
    print(f"checked the instructions of {len(objects)} object files: {len(found)} leaks")
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
