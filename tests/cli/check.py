#!/usr/bin/env python3
"""check.py KILN - runs `kiln check` as a user would, as cli.py does the other commands; prints TAP."""
import json
import pathlib
import signal
import subprocess
import time
import xml.etree.ElementTree

from support import KILN, NETWORK, TESTS, expect_failure, kiln, main, write_npy


def test_check(folder):
    done = kiln("check", "--op", "softmax", "--seed", 7)
    assert done.returncode == 0 and ", 0 failed" in done.stdout.splitlines()[-1], done.stderr
    report = json.loads(kiln("check", "--op", "mat*", "--json", "--bench").stdout)
    assert report["device"]["title"] and len(report["cases"]) >= 32, report["device"]
    assert {case["status"] for case in report["cases"]} == {"pass"}
    assert all(case["seconds"] > 0 for case in report["cases"] if case["runs"]), "nothing timed"
    names = [case["name"] for case in report["cases"]]
    assert len(set(names)) == len(names), "two cases have one name"
    again = json.loads(kiln("check", "--case", names[3], "--json").stdout)
    assert [case["name"] for case in again["cases"]] == names[3:4], again
    assert len(json.loads(kiln("check", "--op", "add", "--type", "i*", "--json").stdout)["cases"]) >= 16
    expect_failure(kiln("check", "--op", "nothing"), 2, "--op")
    expect_failure(kiln("check", "--part", "3/2"), 2, "3/2")
    expect_failure(kiln("check", "--size", "n=3"), 2, "--size means nothing without --model")
    expect_failure(kiln("check", "--limit", 3), 2, "--limit means nothing without --model")
    for way, other in ((["--onnx", folder], ["--op", "add"]), (["--onnx", folder], ["--bench"]),
                       (["--export", folder], ["--json"]), (["--export", folder], ["--device", "cpu"]),
                       (["--model", NETWORK], ["--type", "f32"]), (["--operators", folder], ["--stratified", 0.5]),
                       (["--diff", folder, folder], ["--seed", 3])):
        expect_failure(kiln("check", *way, *other), 2, f"{other[0]} means nothing with {way[0]}")
    expect_failure(kiln("check", "--stratified", 2), 2, "--stratified 2")


def test_check_runs_cases_of_onnx(folder):
    cases = TESTS / "golden/onnx"
    done = kiln("check", "--onnx", cases / "function_default", cases / "function_overload", "--device", "cpu")
    assert done.returncode == 0 and done.stdout.splitlines()[-1].startswith("2 passed, 0 failed, 0 not applicable"), done
    done = kiln("check", "--onnx", TESTS / "golden/onnx_other", "--json", "--junit", folder / "o.xml", "--device", "cpu")
    report = json.loads(done.stdout)
    statuses = {case["name"]: case["status"] for case in report["cases"]}
    assert done.returncode == 1 and statuses == {"dropout": "n/a", "random": "n/a", "texts": "n/a", "unknown": "fail",
                                                 "unknown_behind_a_function": "fail", "wrong": "fail"}, done
    assert (report["passed"], report["failed"], report["not_applicable"]) == (0, 3, 3), report
    assert all(case["why"] for case in report["cases"]), report
    suite = xml.etree.ElementTree.parse(folder / "o.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("6", "3", "3"), suite.attrib
    done = kiln("check", "--onnx", cases, "--case", "function_d*", "--device", "cpu")
    assert done.stdout.splitlines()[0] == "passed  function_default", done
    expect_failure(kiln("check", "--onnx"), 2, "--onnx wants folders")
    expect_failure(kiln("check", "--onnx", folder / "none"), 1, "none: no folder")
    expect_failure(kiln("check", "--onnx", cases, "--case", "none"), 2, "no case")


def names_of(*arguments):
    return [case["name"] for case in json.loads(kiln("check", "--json", *arguments).stdout)["cases"]]


def test_check_takes_parts_and_random_shapes(folder):
    every = names_of("--op", "exp", "--type", "f32")
    assert sorted(names_of("--op", "exp", "--type", "f32", "--part", "1/2")
                  + names_of("--op", "exp", "--type", "f32", "--part", "2/2")) == sorted(every)
    share = names_of("--op", "e?p", "--stratified", 0.2)
    assert 0 < len(share) < len(names_of("--op", "e?p")) / 2 and {name.split("/")[1] for name in share} >= {"f32"}, share
    drawn = names_of("--op", "exp", "--type", "f32", "--seed", 3)
    assert len(drawn) > len(every) and drawn == names_of("--op", "exp", "--type", "f32", "--seed", 3), drawn
    assert names_of("--case", drawn[-1], "--seed", 3) == drawn[-1:]


def test_check_lists_uncovered_variants(folder):
    """A part says what it left, a part of other cases less; the tally adds both up."""
    reports = []
    for part in ("7/700", "9/700"):
        reports.append(folder / f"{part[0]}.json")
        reports[-1].write_text(kiln("check", "--part", part, "--device", "cpu", "--json").stdout)
    left = [set(json.loads(report.read_text())["not_reached"]) for report in reports]
    assert left[0] and left[1], left
    assert json.loads(kiln("check", "--op", "abs", "--json").stdout)["not_reached"] == []
    done = subprocess.run([TESTS.parent / "tools/tally_sweep.py", *reports], capture_output=True, text=True)
    assert done.returncode == 1 and f"uncovered variants: {len(left[0] & left[1])}" in done.stdout, done.stdout


def catches(process, number):
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return int(caught.split()[1], 16) >> (number - 1) & 1


def test_check_reports_what_it_did_when_interrupted(folder):
    with open(folder / "a.json", "w") as report:
        running = subprocess.Popen([KILN, "check", "--device", "cpu", "--json"], stdout=report, stderr=subprocess.PIPE, text=True)
        while not catches(running.pid, signal.SIGTERM):
            time.sleep(0.05)
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=60)
    report = json.loads((folder / "a.json").read_text())
    assert running.returncode == 1 and f"interrupted: {len(report['cases'])} of" in said, said
    assert report["not_reached"] == []


def test_check_writes_reports(folder):
    done = kiln("check", "--op", "softmax", "--type", "f32", "--json", "--junit", folder / "a.xml", "--html", folder / "a.html")
    cases = json.loads(done.stdout)["cases"]
    suite = xml.etree.ElementTree.parse(folder / "a.xml").getroot()
    assert int(suite.get("tests")) == len(cases) == len(suite.findall("testcase")), suite.attrib
    assert suite.get("failures") == "0" and suite.find("properties/property[@name='device']").get("value"), suite.attrib
    page = (folder / "a.html").read_text()
    assert f"{len(cases)} passed, 0 failed" in page and "<td>softmax</td><td>f32</td>" in page, page[:2000]
    expect_failure(kiln("check", "--case", cases[0]["name"], "--html", folder / "no/a.html", "--json"), 1, "no/a.html", out=True)


def test_check_exports_operands_of_its_seed(folder):
    for seed in (0, 3):
        done = kiln("check", "--export", folder / str(seed), "--op", "add", "--type", "i32", "--seed", seed)
        assert done.returncode == 0 and " models written of " in done.stdout, done.stderr
    operands = [path.relative_to(folder / "0") for path in (folder / "0").glob("*/in_*.npy")]
    sizes = {path: (folder / "0" / path).stat().st_size for path in operands}
    other = [path for path in operands if (folder / "0" / path).read_bytes() != (folder / "3" / path).read_bytes()]
    assert len(operands) >= 8 and max(operands, key=sizes.get) in other, (operands, other)


def test_check_exports_what_random_sizes_fit(folder):
    done = kiln("check", "--export", folder, "--op", "deform_conv", "--seed", 5)
    assert done.returncode == 0 and not done.stderr, done.stderr
    sizes = {path.name.split(";")[2] for path in folder.glob("*;*;*;*")}
    assert "2x3x5x7x2x3" in sizes and "1x2x5x7x14x2" not in sizes, sizes


def test_check_replays_a_model(folder):
    done = kiln("check", "--model", NETWORK, "--size", "batch=3")
    assert done.returncode == 0 and " 0 differ" in done.stdout.splitlines()[-1], done.stderr
    write_npy(folder / "x.npy", (2, 1, 4, 4))
    answer = json.loads(kiln("check", "--model", NETWORK, "--input", f"image={folder / 'x.npy'}", "--json").stdout)
    assert answer["dispatches"] > 2 and answer["failed"] == 0 and answer["share"] <= 1, answer
    cut = kiln("check", "--model", NETWORK, "--limit", "1e-9")
    assert cut.returncode == 0 and "0 dispatches agree, 0 differ" in cut.stdout and "were not compared" in cut.stdout, cut.stdout
    expect_failure(kiln("check", "--model", NETWORK, "--input", f"picture={folder / 'x.npy'}"), 1, '"picture"')
    expect_failure(kiln("check", "--model", folder / "nothing.onnx"), 1, "nothing.onnx")


def test_check_writes_the_page_of_operators(folder):
    page = folder / "OPERATORS.md"
    (folder / "a.json").write_text(kiln("check", "--op", "softmax", "--json").stdout)
    assert kiln("check", "--operators", page, folder / "a.json", folder / "a.json").returncode == 0
    lines = page.read_text().splitlines()
    softmax = next(line for line in lines if line.startswith("| softmax |"))
    cells = [cell.strip() for cell in softmax.split("|")]
    report = json.loads((folder / "a.json").read_text())["cases"]
    assert cells[2] == "yes" and cells[-2] == str(2 * len(report)), softmax      # of one device, twice
    assert sum(case.get("slopes", 0) for case in report) * 2 == int(cells[-4]) > 0, softmax
    assert kiln("check", "--operators", page).returncode == 0
    page.write_text(page.read_text().replace(softmax, softmax.replace("yes", "no")))
    expect_failure(kiln("check", "--operators", page), 1, "softmax")
    page.write_text("\n".join(line for line in lines if line != softmax))
    expect_failure(kiln("check", "--operators", page), 1, "softmax", "no such line")


def test_check_runs_the_cases_of_a_list(folder):
    report = json.loads(kiln("check", "--op", "softmax", "--type", "f32", "--json").stdout)["cases"]
    assert all("softmax rows" in case["reached"] for case in report if "/f32/0x" not in case["name"])
    names = [case["name"] for case in report[1:3]]
    (folder / "names").write_text("\n".join(names))
    some = json.loads(kiln("check", "--cases", folder / "names", "--fail-fast", "--json").stdout)["cases"]
    assert [case["name"] for case in some] == names
    (folder / "names").write_text("")
    expect_failure(kiln("check", "--cases", folder / "names"), 2, "--cases")
    expect_failure(kiln("check", "--cases", folder / "nowhere"), 1, "nowhere")


def test_check_compares_reports(folder):
    (folder / "a.json").write_text(kiln("check", "--op", "softmax", "--type", "f32", "--json").stdout)
    report = json.loads((folder / "a.json").read_text())
    same = kiln("check", "--diff", folder / "a.json", folder / "a.json")
    assert same.returncode == 0 and "0 cases have another status, 0 another error" in same.stdout, same.stdout
    report["cases"][0]["status"] = "fail"
    report["cases"][1]["share"] = 900
    lost = report["cases"].pop()["name"]
    (folder / "b.json").write_text(json.dumps(report))
    other = kiln("check", "--diff", folder / "a.json", folder / "b.json")
    assert other.returncode == 1 and "2 cases have another status, 1 another error" in other.stdout, other.stdout
    for name in (report["cases"][0]["name"], report["cases"][1]["name"], lost):
        assert name in other.stdout, other.stdout
    expect_failure(kiln("check", "--diff", folder / "a.json"), 2, "two reports")
    (folder / "b.json").write_text("{}")
    expect_failure(kiln("check", "--diff", folder / "a.json", folder / "b.json"), 1, "b.json")


main(globals())
