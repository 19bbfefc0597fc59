#!/usr/bin/env python3
"""tally_tests.py TESTLOG.json - print "PASSED FAILED SKIPPED" of one `meson test`, counting each Criterion test by itself.

A program that ran no test at all, or failed without saying which test did, counts as one failure.
"""
import json
import re
import sys

TAP_LINE = re.compile(r"^(ok|not ok)\b.*$", re.M)
ALONE = {"OK": "passed", "SKIP": "skipped"}         # a program that is one test


def outcome(line):
    if line.startswith("not ok"):
        return "failed"
    return "skipped" if "# SKIP" in line else "passed"


def outcomes(test):
    if "--tap" not in test["command"]:
        return [ALONE.get(test["result"], "failed")]
    found = [outcome(line.group()) for line in TAP_LINE.finditer(test["stdout"])]
    if not found:
        print(f"{test['name']}: ran no test", file=sys.stderr)
    if not found or (test["result"] not in ("OK", "SKIP") and "failed" not in found):
        found.append("failed")
    return found


def main():
    with open(sys.argv[1]) as log:
        found = [one for line in log for one in outcomes(json.loads(line))]
    print(*(found.count(kind) for kind in ("passed", "failed", "skipped")))


main()
