#!/usr/bin/env python3
"""mutate.py - plants faults into shaders and CPU kernels, one at a time, and says which of them are found.

    tools/mutate.py --count 200 --record docs/MUTANTS.md      plant 200 and write what came of them
    tools/mutate.py --draw 10                                 plant 10 of them; fails if faults go unseen

A mutant is one small change of one line: an operator swapped, a bound off by one, a barrier dropped, a term lost, an
accumulator narrowed. They are drawn by a seed, evenly over families (a folder of shaders, a stem of src/cpu) and kinds. Each is
compiled beside the build folder's objects and linked before them, so that nothing else is built and no file of the tree is touched.
What compiles to the same code is no mutant, nor what does not compile: others are drawn in their place.

Then cases of `kiln check` that reach the family's kernels run, few before many, until one fails: on the CPU, on lavapipe, there by
what GPUs are given, on SwiftShader and at the floor's limits; then all cases of the operators that it is most about; at last the
family's tests. What passes all of that has survived.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import re
import resource
import shlex
import shutil
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAVAPIPE = f"/usr/share/vulkan/icd.d/lvp_icd.{os.uname().machine}.json"
SWIFTSHADER = "/usr/lib/chromium/vk_swiftshader_icd.json"
NO_KERNELS = {"backend", "cpu"}             # of src/cpu
NO_RESULTS = {"peak", "truth"}              # of shaders: what computes for its time alone, tables
MOST_OBJECTS = 6                            # of those that a mutant in a header changes
FEW, MANY, ALL = 24, 250, 1 << 30           # cases
OPERATORS = 5                               # whose cases all run, of those that are about a kernel
PATIENCE = 60                               # seconds of computing a stage, and what it took before the mutant


# Mutants ----------------------------------------------------------------------------------------------------------

OPERAND = r"[A-Za-z_]\w*(?:\.\w+|\[[^][]*\]|\([^()]*\))*"
SWAPS = {"+": "-", "-": "+", "*": "+", "/": "*", "%": "/", "&&": "||", "||": "&&", "==": "!=", "!=": "==", "&": "|", "|": "&",
         "^": "&", "<<": ">>", ">>": "<<", "+=": "-=", "-=": "+=", "*=": "+=", "|=": "&=", "&=": "|="}
NAMES = {"min": "max", "max": "min", "fmin": "fmax", "fmax": "fmin", "fminf": "fmaxf", "fmaxf": "fminf", "kiln_min": "kiln_max",
         "kiln_max": "kiln_min", "smaller": "larger", "larger": "smaller", "exp": "log", "sin": "cos", "cos": "sin"}
BOUNDS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}


def swap(match):
    return f" {SWAPS[match[1]]} "


def name(match):
    return NAMES[match[1]] + "("


def bound(match):
    return f" {BOUNDS[match[1]]} "


def nothing(_):
    return ""


def one(match):
    return match[1] + "1" + match[2]


def lost(match):
    return match[1] + ";"


def narrowed(match):
    line, value = match[0], match[1]
    return f"{{ {line} {value} = NARROW({value}); }}"


def single(match):
    return "float " + match[1]


# kind: [(pattern, what the match becomes)]
KINDS = {
    "swap": [(r" ([-+*/%&|^]|&&|\|\||==|!=|<<|>>|[-+*|&]=) (?=[\w(~!])", swap),
             (r"(?<![\w.])(" + "|".join(NAMES) + r")\(", name)],
    "bound": [(r" (<|<=|>|>=) (?=[\w(-])(?![^;?]*\?)", bound), (r" [-+] 1u?(?=[\s;,)\]])", nothing),
              (r"(for \([^;=]*= )0(u?;)", one)],
    "barrier": [(r"\bbarrier\(\);", nothing)],
    "term": [(rf"( )(?:{OPERAND}) [-+|]= [^;=]+;", lost), (rf"(?<=[\w)\]]) [-+] {OPERAND}(?=[;,)\]])", nothing)],
    "narrow": [(rf"\b({OPERAND}) \+= [^;=]+;", narrowed), (r"\bdouble (\w+(?:\[\w+\])?(?: = |;|, ))", single)],
}
NARROW = {
    "shader": "#define NARROW(v) unpackHalf2x16(packHalf2x16(vec2(v, 0.0))).x\n",
    "cpu": "#define NARROW(v) _Generic((v), float: (float)(_Float16)(v), double: (double)(float)(v))\n",
}

Mutant = collections.namedtuple("Mutant", "path family kind line before after function turn")

Outcome = collections.namedtuple("Outcome", "identity family kind verdict by")


def identity(mutant):
    """What it is, apart from line numbers, which move."""
    turn = f" (the {mutant.turn}.)" if mutant.turn > 1 else ""
    return f"{mutant.path}, {mutant.function}{turn}: `{mutant.before}` to `{mutant.after}`"


def family_of(path):
    parts = path.split("/")
    return f"shaders/{parts[1]}" if parts[0] == "shaders" else "cpu/" + re.split(r"[._]", parts[2])[0]


def sources():
    shaders = [*ROOT.glob("shaders/*/*.comp"), *ROOT.glob("shaders/*/*.glsl")]
    kernels = [file for file in ROOT.glob("src/cpu/*.[ch]") if file.stem not in NO_KERNELS]
    return [str(file.relative_to(ROOT)) for file in sorted(shaders + kernels) if file.parent.name not in NO_RESULTS]


def code_of(text):
    """The text without comments, and without directives but macros: blanks in their place."""
    blank = lambda match: re.sub(r"[^\n]", " ", match[0])
    text = re.sub(r"/\*.*?\*/|//[^\n]*", blank, text, flags=re.S)
    text = re.sub(r'"[^"\n]*"', blank, text)
    return re.sub(r"^[ \t]*#[ \t]*(?!define \w+\().*$", blank, text, flags=re.M)


def in_functions(code):
    """(number, line, function) of each line in a function's body or a macro's; initialisers are tables."""
    depth, function, macro, table = 0, "", False, False
    for number, line in enumerate(code.split("\n")):
        start = re.match(r"(?:#\s*define )?\w[^=;]*?\b(?:KILN_REFERENCE\()?(\w+)[()]", line)
        if depth == 0 and start:
            function, table = start[1], False
        if depth == 0 and re.search(r"= *\{|^(enum|struct|layout)\b", line):
            table = True
        macro = macro or line.startswith("#")
        if (depth > 0 or macro) and not table:
            yield number, line, function
        depth += line.count("{") - line.count("}")
        macro = macro and line.endswith("\\")
        if macro or depth < 0:
            depth = 0


def mutants_of(path):
    lines = (ROOT / path).read_text().split("\n")
    turns = collections.Counter()               # of lines that a function has several times
    for number, line, function in in_functions(code_of("\n".join(lines))):
        turns[function, line] += 1
        for kind, patterns in KINDS.items():
            for pattern, becomes in patterns:
                for match in re.finditer(pattern, line):
                    after = line[:match.start()] + becomes(match) + line[match.end():]
                    whole = lines[number][:match.start()] + becomes(match) + lines[number][match.end():]
                    if after != line:
                        yield Mutant(path, family_of(path), kind, number, lines[number].strip(" \\"),
                                     whole.strip(" \\"), function, turns[function, line]), whole


def draw(seed):
    """All mutants in the order in which they are planted: families in turn, and in each the kinds in turn."""
    rng = random.Random(seed)
    families = collections.defaultdict(lambda: collections.defaultdict(list))
    for path in sources():
        for mutant, line in mutants_of(path):
            families[mutant.family][mutant.kind].append((mutant, line))
    for kinds in families.values():
        for some in kinds.values():
            rng.shuffle(some)
    order = list(families)
    rng.shuffle(order)
    turn = 0
    while any(families.values()):
        for place, family in enumerate(order):
            kinds = families[family]
            if not kinds:
                continue
            present = [kind for kind in KINDS if kind in kinds]
            kind = "barrier" if not turn and "barrier" in kinds else present[(turn + place) % len(present)]
            yield kinds[kind].pop()
            if not kinds[kind]:
                del kinds[kind]
        turn += 1


# The build -----------------------------------------------------------------------------------------------------------

def output_of(*command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **options).stdout


class Build:
    """What a finished build folder says: its commands, and what its objects are made from."""

    def __init__(self, folder):
        self.folder = folder
        rules = json.loads(output_of("ninja", "-C", folder, "-t", "compdb", "-x"))
        self.command = {rule["output"]: rule["command"] for rule in rules}
        self.users = collections.defaultdict(list)      # file: objects and shaders
        for block in output_of("ninja", "-C", folder, "-t", "deps").split("\n\n"):
            output, *inputs = [line.split(": #deps")[0].strip() for line in block.strip().split("\n")]
            for file in inputs:
                self.users[os.path.relpath(folder / file, ROOT)].append(output)
        self.kernels, self.code = self.read_kernels(), self.read_kernel_code()

    def read_kernels(self):
        """What each object of src/ops knows: names of shaders and of CPU kernels, and the kernels that it defines."""
        known = collections.defaultdict(set)
        for file in (self.folder / "src").glob("libkiln_core.a.p/ops_*.o"):
            symbols = output_of("nm", file)
            defined = set(re.findall(r" [DRBdrb] kiln_kernel_(\w+)", symbols))
            for used in re.findall(r" U (kiln_\w+)", symbols):
                known[used] |= defined
        return known

    def outputs(self, path):
        """Shaders and library objects that the file is part of."""
        return [output for output in self.users[path]
                if output.endswith(".spv") or re.match(r"src/libkiln_\w+\.a\.p/cpu_", output)]

    def read_kernel_code(self):
        """What each object of src/cpu defines and uses."""
        known = {}
        for file in (self.folder / "src").glob("libkiln_*.a.p/cpu_*.o"):
            symbols = output_of("nm", file)
            known[str(file.relative_to(self.folder))] = (set(re.findall(r" [TDRBi] (\w+)", symbols)),
                                                         set(re.findall(r" U (\w+)", symbols)))
        return known

    def symbols_behind(self, objects):
        """What the objects define, and what those of src/cpu that use it define."""
        found, grown, names = set(), set(objects) & set(self.code), set()
        while grown:
            found |= grown
            names |= set().union(*(self.code[object][0] for object in grown))
            grown = {object for object, (_, uses) in self.code.items() if uses & names} - found
        return names

    def reached_by(self, outputs):
        """Kernels behind shaders and objects: those of the objects of src/ops that use them."""
        shaders = {f"kiln_spirv_{pathlib.Path(output).stem}" for output in outputs if output.endswith(".spv")}
        return set().union(*(self.kernels[symbol] for symbol in shaders | self.symbols_behind(outputs)))


class Workshop:
    """A folder in which one mutant after another is made: copies of what may change, objects, programs."""

    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "out").mkdir(parents=True)
        for part in ("shaders", "src/cpu"):
            shutil.copytree(ROOT / part, folder / "tree" / part)

    def run(self, command):
        return subprocess.run(command, cwd=self.build.folder, shell=True, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def compile(self, output):
        """The mutated file of that object or shader; None where it does not compile."""
        made = self.folder / "out" / output.replace("/", "_")
        words = shlex.split(self.build.command[output])
        tree, rest = self.folder / "tree", []
        up = os.path.relpath(ROOT, self.build.folder)
        skip = 0
        for word in words:
            if skip or word in ("-MD", "-MMD"):
                skip = 0
                continue
            if word in ("-MQ", "-MF"):
                skip = 1
                continue
            for part in ("shaders", "src/cpu"):
                for base in (str(ROOT), up):
                    if word == f"{base}/{part}" or word.startswith(f"{base}/{part}/"):
                        word = str(tree) + word[len(base):]
            rest.append(str(made) if word == output else word)
        first = [] if output.endswith(".spv") else ["-I", str(tree / "src"), "-I", str(tree / "shaders"), "-w", "-Wno-error"]
        at = next(i for i, word in enumerate(rest) if word.startswith("-"))
        return made if self.run(shlex.join(rest[:at] + first + rest[at:])) else None

    def plant(self, mutant, line):
        """What the mutant changes: (objects to link first, outputs); a verdict in place of them where it is none."""
        file = self.folder / "tree" / mutant.path
        original = (ROOT / mutant.path).read_text()
        lines = original.split("\n")
        lines[mutant.line] = line
        text = "\n".join(lines)
        if mutant.kind == "narrow":
            narrow = NARROW["shader" if mutant.path.startswith("shaders") else "cpu"]
            head = re.search(r"^#include", text, re.M) if mutant.path.endswith(".comp") else None
            text = text[:head.start()] + narrow + text[head.start():] if head else narrow + text
        for old in (self.folder / "out").iterdir():
            old.unlink()
        try:
            file.write_text(text)
            return self.make(mutant, [*self.build.outputs(mutant.path)])
        finally:
            file.write_text(original)

    def make(self, mutant, outputs):
        random.Random(mutant.line).shuffle(outputs)
        changed = []
        for output in outputs:
            made = self.compile(output)
            if not made:
                return "not built", []
            if made.read_bytes() != (self.build.folder / output).read_bytes():
                changed.append((output, made))
            if len(changed) == MOST_OBJECTS:
                break
        if not changed:
            return "equivalent", []
        shaders = [(output, made) for output, made in changed if output.endswith(".spv")]
        objects = [made for output, made in changed if not output.endswith(".spv")]
        if shaders:
            objects.append(self.embed(shaders))
        return objects, [output for output, _ in changed]

    def embed(self, shaders):
        out = self.folder / "out"
        pairs = [f"{pathlib.Path(output).stem}={made}" for output, made in shaders]
        subprocess.run([ROOT / "tools/embed_shaders.py", out / "shaders.h", out / "shaders.c", *pairs], check=True)
        subprocess.run(["gcc", "-std=c11", "-c", "-I", ROOT / "include", "-o", out / "shaders.o", out / "shaders.c"], check=True)
        return out / "shaders.o"

    def link(self, program, objects):
        made = self.folder / "out" / pathlib.Path(program).name
        first = shlex.join(["-o", str(made), *map(str, objects), "-Wl,--allow-multiple-definition"])
        command = self.build.command[program].replace(f"-o {program}", first, 1)
        subprocess.run(command, cwd=self.build.folder, shell=True, check=True)
        return made


# Finding -------------------------------------------------------------------------------------------------------------

DEVICES = {
    "cpu": ("cpu", {"VK_DRIVER_FILES": "none"}),
    "lavapipe": ("vulkan", {"VK_DRIVER_FILES": LAVAPIPE}),
    "swiftshader": ("vulkan", {"VK_DRIVER_FILES": SWIFTSHADER}),
    "floor": ("vulkan", {"VK_DRIVER_FILES": LAVAPIPE, "KILN_LIMITS": "floor"}),
    "gpu": ("vulkan", {"VK_DRIVER_FILES": LAVAPIPE, "KILN_LIMITS": "gpu"}),
}


def failure(command, environment, patience):
    """None where it ends with 0 within so many seconds of computing (a machine that is busy does not count); else what it said."""
    def bound():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (int(patience), int(patience)))

    child = subprocess.Popen(list(map(str, command)), env={**os.environ, **environment}, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True, errors="replace", preexec_fn=bound, start_new_session=True)
    try:
        said = child.communicate(timeout=20 * patience)[1]
    except subprocess.TimeoutExpired:       # it waits for itself
        os.killpg(child.pid, 9)
        said = child.communicate()[1]
    return said if child.returncode else None


class Cases:
    """Which cases reach which kernels, and how long they take: what a run without a mutant says."""

    def __init__(self, build, share):
        kiln, report = build.folder / "tools/kiln/kiln", build.folder / f"mutants/cases-{share}.json"
        report.parent.mkdir(exist_ok=True)
        if not report.exists() or report.stat().st_mtime < kiln.stat().st_mtime:
            command = [kiln, "check", "--device", "cpu", "--json", "--stratified", str(share)]
            report.write_text(subprocess.run(command, stdout=subprocess.PIPE, text=True,
                                             env={**os.environ, **DEVICES["cpu"][1]}).stdout)
        self.cases = [case for case in json.loads(report.read_text())["cases"] if case["status"] == "pass"]
        self.by_kernel = collections.defaultdict(list)
        for case in self.cases:
            for kernel in {reached.split(" ")[0] for reached in case["reached"]}:
                self.by_kernel[kernel].append(case)

    def queue(self, kernel, kernels):
        """Cases that reach a kernel: one of each operator and type before another, those before that reach little else."""
        groups = collections.defaultdict(list)
        for case in self.by_kernel[kernel]:
            groups[case["op"], case["type"]].append(case)
        rng, order = random.Random(kernel), []
        for group in groups.values():
            rng.shuffle(group)
            for turn, case in enumerate(group):
                others = {reached.split(" ")[0] for reached in case["reached"]} - kernels
                order.append((turn, len(others), rng.random(), case))
        return [case for *_, case in sorted(order, key=lambda item: item[:3])]

    def reaching(self, kernels, most):
        """At most so many, evenly over the kernels: names and what they take."""
        queues, names = [self.queue(kernel, kernels) for kernel in sorted(kernels)], {}
        for turn in range(max(map(len, queues), default=0)):
            for queue in queues:
                if turn < len(queue) and len(names) < most:
                    names[queue[turn]["name"]] = queue[turn]["took"]
        return names

    def operators(self, kernels):
        """Those that are about the kernels most: the fewest others are reached besides."""
        reach = collections.defaultdict(set)
        for case in self.cases:
            reach[case["op"]] |= {reached.split(" ")[0] for reached in case["reached"]}
        about = [op for op in reach if reach[op] & kernels]
        return sorted(about, key=lambda op: (len(reach[op] - kernels), op))[:OPERATORS] or rows_of(kernels)


def stages_of(mutant, outputs):
    """Where it may be found, the cheapest first. What only the CPU runs shows nowhere else."""
    if mutant.path.startswith("shaders"):
        return [("lavapipe", FEW), ("gpu", FEW), ("lavapipe", MANY), ("gpu", MANY), ("swiftshader", FEW), ("floor", FEW),
                ("swiftshader", MANY), ("floor", MANY)]
    meaning = any("reference" in output for output in outputs)
    return [("cpu", FEW), *([("lavapipe", FEW)] if meaning else []), ("cpu", MANY), ("cpu", ALL),
            *([("lavapipe", MANY)] if meaning else [])]


def stems_of(kernels):
    """The families of the kernels, by the names of the files that define them."""
    return {file.stem.split("_")[0] for file in ROOT.glob("src/ops/*.c")
            if set(re.findall(r"\bkiln_kernel kiln_kernel_(\w+)", file.read_text())) & kernels}


def of_families(kernels, folder, pattern, stem_of):
    """What the pattern finds in the files of a folder that are about the kernels' families."""
    stems = stems_of(kernels)
    return sorted({found for file in ROOT.glob(f"{folder}/*.c") if stem_of(file.stem) in stems
                   for found in re.findall(pattern, file.read_text(), re.M)})


def suites_of(kernels):
    return of_families(kernels, "tests/ops", r"^Test\((\w+),", lambda stem: stem.split("_")[0])


def rows_of(kernels):
    return of_families(kernels, "tools/kiln/check", r"\.name = \"(\w+)\"", lambda stem: stem.removeprefix("cases_"))


class Finder:
    def __init__(self, build, cases, shop):
        self.build, self.cases, self.shop = build, cases, shop
        self.cache = shop.folder / "cache"

    def fails(self, program, clean, arguments, environment, patience):
        """Whether the program with a mutant fails, and without it does not: of drivers little is taken for granted."""
        for mask in self.cache.glob("**/*mask*"):       # a mutant may have failed a truth test
            mask.unlink()
        environment = {**environment, "XDG_CACHE_HOME": str(self.cache)}
        said = failure([program, *arguments], environment, patience)
        if said is None:
            return False
        case = re.search(r"^FAILED  (\S+) ", said, re.M)
        again = ["check", *arguments[1:3], "--case", case[1]] if case else arguments
        return failure([clean, *again], environment, patience) is None

    def check(self, kiln, device, *which, patience):
        title, environment = DEVICES[device]
        arguments = ["check", "--device", title, *which, "--fail-fast"]
        return self.fails(kiln, self.build.folder / "tools/kiln/kiln", arguments, environment, patience)

    def check_some(self, kiln, device, names):
        file = self.shop.folder / "out/cases"
        file.write_text("\n".join(names))
        compiling = PATIENCE * (len(names) // FEW) if device != "cpu" else 0       # the times are the CPU's, which compiles nothing
        return self.check(kiln, device, "--cases", file, patience=PATIENCE + compiling + 3 * sum(names.values()))

    def test(self, objects, kernels, mutant):
        tests, clean = self.shop.link("tests/test_ops", objects), self.build.folder / "tests/test_ops"
        vulkan = mutant.path.startswith("shaders")
        environment = {"KILN_TEST_ROOT": str(ROOT / "tests"), "KILN_TEST_CACHE": str(self.build.folder / "external"),
                       "KILN_TEST_DEVICES": "lavapipe" if vulkan else "cpu", "VK_DRIVER_FILES": LAVAPIPE if vulkan else "none"}
        for suite in suites_of(kernels):
            for limit in [{}, {"KILN_LIMITS": "tiny"}] if vulkan else [{}]:
                arguments = ["--filter", f"{suite}/*", "-j1", "--timeout", "120"]
                if self.fails(tests, clean, arguments, {**environment, **limit}, 5 * PATIENCE):
                    return f"tests/ops, {suite}"
        return None

    def verdict(self, mutant, line):
        """(verdict, by what) of a mutant."""
        objects, outputs = self.shop.plant(mutant, line)
        if isinstance(objects, str):
            return objects, ""
        kernels = self.build.reached_by(outputs)
        kiln = self.shop.link("tools/kiln/kiln", objects)
        on_gpus = any("fast" not in output for output in outputs)
        for device, most in stages_of(mutant, outputs):
            names = self.cases.reaching(kernels, most)
            if names and self.check_some(kiln, device, names):
                return "caught", f"kiln check, {device}"
        for op in self.cases.operators(kernels) if on_gpus else []:
            if self.check(kiln, "lavapipe", "--op", op, patience=10 * PATIENCE):
                return "caught", f"kiln check, all cases of {op}"
        suite = self.test(objects, kernels, mutant)
        return ("caught", suite) if suite else ("survived", "")


# The record ----------------------------------------------------------------------------------------------------------

def explanations(record):
    """Survivors that a record explains: identity to why."""
    if not record.exists():
        return {}
    return dict(re.findall(r"^\* (.*`)\n  (.+)$", record.read_text(), re.M))


def table(title, outcomes, key):
    """How many of each came to what."""
    counts = collections.defaultdict(collections.Counter)
    for outcome in outcomes:
        counts[key(outcome)][outcome.verdict] += 1
    yield from [f"| {title} | planted | caught | survived | same code | not built |", "|---|--:|--:|--:|--:|--:|"]
    for name, c in sorted(counts.items()):
        yield (f"| {name} | {c['caught'] + c['survived']} | {c['caught']} | {c['survived']} | {c['equivalent']} | "
               f"{c['not built']} |")
    yield ""


def write_record(record, seed, outcomes):
    """An explanation that begins with "Equivalent" says that the mutant means the same: no test can catch it."""
    why = explanations(record)
    verdicts = collections.Counter(outcome.verdict for outcome in outcomes)
    planted = verdicts["caught"] + verdicts["survived"]
    survivors = [outcome for outcome in outcomes if outcome.verdict == "survived"]
    same = sum(why.get(outcome.identity, "").startswith("Equivalent") for outcome in survivors)
    found = collections.Counter(outcome.by for outcome in outcomes if outcome.verdict == "caught")
    lines = ["# Mutants", "",
             f"Written by `tools/mutate.py --count {planted} --seed {seed}`, which says what a mutant is and how it is sought.",
             f"Of {planted} planted, {verdicts['caught']} were caught and {len(survivors)} survived; {same} of these mean the same as "
             "what they replace. Of the others",
             f"{100 * verdicts['caught'] / max(1, planted - same):.1f} % were caught. Those that compile to the same code, or not "
             "at all, are not among them.", "",
             *table("family", outcomes, lambda outcome: outcome.family),
             *table("kind", outcomes, lambda outcome: outcome.kind),
             "Found by: " + ", ".join(f"{by} ({count})" for by, count in found.most_common()) + ".", "", "## Survivors", ""]
    for outcome in survivors:
        lines += [f"* {outcome.identity}", f"  {why.get(outcome.identity, 'NOT EXPLAINED')}"]
    record.write_text("\n".join(lines) + "\n")


# The run -------------------------------------------------------------------------------------------------------------

class Run:
    def __init__(self, options, build, cases):
        self.options, self.build, self.cases = options, build, cases
        self.order, self.wanted = draw(options.seed), options.draw or options.count
        self.state = build.folder / "mutants/outcomes.json"
        self.outcomes = []
        if options.again:
            self.take_survivors()
        self.lock, self.under_way = threading.Lock(), 0
        self.why = explanations(ROOT / options.record)

    def take_survivors(self):
        """Those of the last run are planted again; the others' outcomes stay."""
        self.outcomes = [Outcome(*outcome) for outcome in json.loads(self.state.read_text())]
        survived = {outcome.identity for outcome in self.outcomes if outcome.verdict == "survived"}
        again = {identity(drawn[0]): drawn for drawn in self.order if identity(drawn[0]) in survived}
        self.order, self.wanted = iter(again.values()), self.planted() + len(again)
        for gone in survived - set(again):
            print(f"gone: {gone}")

    def next(self):
        """Another mutant, while those under way may not be enough."""
        with self.lock:
            if self.planted() + self.under_way >= self.wanted:
                return None
            drawn = next(self.order, None)
            self.under_way += drawn is not None
            return drawn

    def planted(self):
        return sum(outcome.verdict in ("caught", "survived") for outcome in self.outcomes)

    def note(self, outcome):
        """In place of what the same mutant came to before, if it did."""
        self.outcomes = [*(o for o in self.outcomes if o.identity != outcome.identity), outcome]

    def tell(self, mutant, verdict, by, took):
        with self.lock:
            self.under_way -= 1
            self.note(Outcome(identity(mutant), mutant.family, mutant.kind, verdict, by))
            print(f"{self.planted():4} {took:6.1f} s  {verdict:10} {mutant.kind:8} {mutant.line + 1:4} {identity(mutant)}"
                  f"{', by ' + by if by else ''}", flush=True)
            if not self.options.draw:
                self.state.write_text(json.dumps(self.outcomes, indent=1))
                write_record(ROOT / self.options.record, self.options.seed, self.outcomes)

    def work(self, number):
        finder = Finder(self.build, self.cases, Workshop(self.build, self.build.folder / f"mutants/{number}"))
        while True:
            drawn = self.next()
            if drawn:
                start = time.monotonic()
                verdict, by = finder.verdict(*drawn)
                self.tell(drawn[0], verdict, by, time.monotonic() - start)
            elif self.under_way:            # what becomes of those may be no mutant
                time.sleep(0.2)
            else:
                return

    def finish(self):
        """Whether what survived is explained, or little enough."""
        survived = [outcome.identity for outcome in self.outcomes if outcome.verdict == "survived"]
        unexplained = [one for one in survived if one not in self.why]
        for one in unexplained:
            print(f"survived: {one}")
        print(f"{self.planted()} mutants, {self.planted() - len(survived)} caught, {len(survived)} survived")
        return len(unexplained) <= max(1, self.planted() // 20)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build-gcc", help="a finished build folder (default: build-gcc)")
    parser.add_argument("--count", type=int, default=200, help="mutants to plant (default: 200)")
    parser.add_argument("--draw", type=int, help="plant only so many, and write no record")
    parser.add_argument("--again", action="store_true", help="plant what survived the last run in this build folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=0.2, help="of all cases, to take from (default: 0.2)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--record", default="docs/MUTANTS.md", help="what to write, and to take explanations from")
    options = parser.parse_args()

    build = Build((ROOT / options.build).resolve())
    cases = Cases(build, options.share)
    run = Run(options, build, cases)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for worker in [pool.submit(run.work, number) for number in range(options.jobs)]:
            worker.result()
    sys.exit(0 if run.finish() else 1)


if __name__ == "__main__":
    main()
