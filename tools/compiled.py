#!/usr/bin/env python3
"""What AMD's compiler makes of kiln's shaders, without the hardware: compiled.py [--kiln build/tools/kiln/kiln] [--share 1]
[--families navi21,...] [--icd FILE] [--all]

RADV, Mesa's driver, offers a GPU of any family that RADV_FORCE_FAMILY names, which compiles and runs nothing. On the device `compile`
every case of `kiln check` has its pipelines built there. Ends with 1 if one is refused, or if a variant that such a GPU takes unasked has
registers spilled or keeps arrays in memory; with 77 where the driver is not there. `--all` prints each variant's figures at the worst.
"""
import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys

SKIPPED = 77
# Of each generation one: GCN 4 and 5, RDNA 2 and 3.
FAMILIES = ["polaris10", "vega10", "navi21", "gfx1100"]
WASTE = ["Spilled VGPRs", "Spilled SGPRs", "Scratch size"]


def report_of(family, options):
    environment = {**os.environ, "VK_DRIVER_FILES": str(options.icd), "RADV_FORCE_FAMILY": family}
    command = [options.kiln, "check", "--device", "compile", "--json"]
    command += ["--stratified", str(options.share)] if options.share < 1 else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    if not done.stdout:
        sys.exit(f"compiled.py: {family}: {' '.join(map(str, command))} ended with {done.returncode} and no report")
    return json.loads(done.stdout)


def describe(variant, names):
    figures = ", ".join(f"{name} {variant['statistics'][name]:g}" for name in names if name in variant["statistics"])
    return f"{variant['kernel']} {variant['variant']}: {figures}"


def judge(family, options):
    report = report_of(family, options)
    refused = [case for case in report["cases"] if case["status"] != "pass"]
    told = [variant for variant in report["compiled"] if variant["statistics"]]
    usual = [variant for variant in told if variant["usual"]]
    wasteful = [variant for variant in usual if any(variant["statistics"].get(name, 0) > 0 for name in WASTE)]
    for case in refused:
        print(f"{family}: {case['name']}: {case['what']}")
    for variant in wasteful:
        print(f"{family}: {describe(variant, WASTE)}")
    if options.all:
        for variant in usual:
            print(f"{family}: {describe(variant, variant['statistics'])}")
    if not usual:
        sys.exit(f"compiled.py: {family}: the driver told nothing of any pipeline")
    print(f"{family}: {report['device']['title']}, {report['device']['driver']}: {len(report['cases'])} cases, {len(refused)} refused, "
          f"{len(usual)} variants taken unasked, {len(wasteful)} of them beyond registers")
    return not refused and not wasteful


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kiln", type=pathlib.Path, default=pathlib.Path("build/tools/kiln/kiln"))
    parser.add_argument("--share", type=float, default=1, help="of each operator's and type's cases (default: all)")
    parser.add_argument("--families", default=",".join(FAMILIES), help="separated by commas (default: %(default)s)")
    parser.add_argument("--icd", type=pathlib.Path,
                        default=pathlib.Path(f"/usr/share/vulkan/icd.d/radeon_icd.{platform.machine()}.json"))
    parser.add_argument("--all", action="store_true", help="print each variant's figures")
    options = parser.parse_args()
    if not options.icd.exists():
        print(f"compiled.py: skipped: {options.icd}, Debian's mesa-vulkan-drivers, is not there")
        return SKIPPED
    if not options.kiln.exists():
        sys.exit(f"compiled.py: --kiln {options.kiln}: not there; tools/demo builds build/tools/kiln/kiln")
    verdicts = [judge(family, options) for family in options.families.split(",")]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
