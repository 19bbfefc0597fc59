"""sample.py - what the tests of samples have in common: a program that is run on every device of the setup; TAP."""
import os
import pathlib
import subprocess
import sys
import tempfile
import traceback

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
DEVICES = os.environ.get("KILN_TEST_DEVICES", "cpu").split(",")
KNOWN = {"lavapipe": "vulkan:llvmpipe", "swiftshader": "vulkan:SwiftShader"}


class Skip(Exception):
    """What a test lacks."""


def call(folder, *arguments, code=0, text=None):
    """Run the program in a folder, with a text typed into it; what it was."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], cwd=folder, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=600)
    assert done.returncode == code, f"{arguments}: exit code {done.returncode}, wanted {code}: {done.stdout}{done.stderr}"
    assert "Vulkan validation" not in done.stderr, done.stderr
    return done


def run(folder, *arguments, code=0):
    """Run the program in a folder; its stdout, or where another code than 0 is wanted its stderr."""
    done = call(folder, *arguments, code=code)
    return done.stderr if code else done.stdout


def external(archive, path):
    """A file of the data beside the project, unpacked once; Skip where there is none."""
    cache = pathlib.Path(os.environ.get("KILN_TEST_CACHE", "external")) / archive
    source = pathlib.Path(os.environ.get("KILN_EXTERNAL") or
                          pathlib.Path(__file__).resolve().parents[2] / ".." / "shared" / "external")
    if not cache.exists():
        if not (source / "unpack").exists():
            raise Skip(f"no {archive} in {source}")
        with tempfile.TemporaryDirectory(dir=_made(cache.parent)) as part:
            subprocess.run([source / "unpack", part, archive], check=True, stdout=subprocess.DEVNULL)
            try:
                os.rename(part, cache)
                os.mkdir(part)
            except OSError:  # another test was faster
                pass
    if not (cache / path).exists():
        raise Skip(f"no {path} in {cache}")
    return cache / path


def _made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main(tests):
    """Run the functions named test_*: those that take a device's name for each device."""
    cases = [(name[5:], test, device) for name, test in tests.items() if name.startswith("test_")
             for device in (DEVICES if test.__code__.co_argcount == 2 else [None])]
    print(f"1..{len(cases)}")
    failed = 0
    for number, (name, test, device) in enumerate(cases, 1):
        title = name + (f" on {device}" if device else "")
        os.environ["KILN_DEVICE"] = KNOWN.get(device, device) or "cpu"
        with tempfile.TemporaryDirectory(prefix="kiln-sample-") as folder:
            try:
                test(*([pathlib.Path(folder), device] if device else [pathlib.Path(folder)]))
                print(f"ok {number} - {title}", flush=True)
            except Skip as lacks:
                print(f"ok {number} - {title} # SKIP {lacks}", flush=True)
            except Exception:
                failed += 1
                print(f"not ok {number} - {title}\n# " + traceback.format_exc().replace("\n", "\n# "), flush=True)
    sys.exit(failed > 0)
