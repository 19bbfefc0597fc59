#!/usr/bin/env python3
"""tally_sweep.py REPORT.json ... - what reports of `kiln check --json` say together, a line a device.

Parts of a device's run are added up; a variant is uncovered if no part reached it. Ends with 1 where something failed, where the
devices did not run the same cases, or where a variant is uncovered.
"""
import json
import sys
from collections import defaultdict


class Device:
    def __init__(self):
        self.names, self.failed, self.uncounted, self.inapplicable = set(), [], set(), set()
        self.uncovered, self.seconds = None, 0.0

    def add(self, report):
        self.names |= {case["name"] for case in report["cases"] if case["status"] == "pass"}
        self.failed += [f"{case['name']}: {case['what']}\n    {case['repeat']}" for case in report["cases"]
                        if case["status"] == "fail"]
        self.failed += [f"{probe['name']}: {probe['what']}" for probe in report["probes"] if probe["status"] == "fail"]
        self.inapplicable |= {case["name"] for case in report["not_applicable"]}
        self.uncounted |= set(report["not_counted"])
        unreached = set(report["not_reached"])
        self.uncovered = unreached if self.uncovered is None else self.uncovered & unreached
        self.seconds += report["seconds"]


def main():
    devices = defaultdict(Device)
    for path in sys.argv[1:]:
        with open(path) as file:
            try:
                report = json.load(file)
            except ValueError:
                sys.exit(f"{path} is no report: the run ended before it was written")
        devices[(report["device"]["title"], report.get("limits", ""))].add(report)

    for (title, limits), device in devices.items():
        for failure in device.failed:
            print(f"failed on {title}: {failure}")
        for variant in sorted(device.uncovered):
            print(f"uncovered on {title}: {variant}")
    for (title, limits), device in devices.items():
        print(f"{title + (', ' + limits if limits else ''):44} {len(device.names):6} passed {len(device.failed):4} failed "
              f"{len(device.uncounted):4} not counted {len(device.inapplicable):4} do not apply {device.seconds:6.0f} s")

    every = [device.names | device.uncounted | device.inapplicable for device in devices.values()]
    same = all(names == every[0] for names in every) or any(device.failed for device in devices.values())
    uncovered = sum(len(device.uncovered) for device in devices.values())
    if not same:
        print("the devices did not run the same cases")
    print(f"distinct cases: {len(set().union(*every))}, uncovered variants: {uncovered or 'none'}")
    sys.exit(not same or uncovered > 0 or any(device.failed for device in devices.values()))


main()
