#!/usr/bin/env python3
"""translate.py PROGRAM KILN - translate as a user runs it, from training to pictures and to ONNX, which KILN runs."""
import pathlib
import re
import struct
import subprocess
import sys

from sample import call, external, main

KILN = pathlib.Path(sys.argv[2]).resolve()
SMALL = ["--rows", 48, "--steps", 6, "--every", 3, "--batch", 16, "--width", 16, "--layers", 1, "--heads", 2, "--hidden", 32,
         "--longest", 40]
DATE = "Mittwoch, den 3. März 2021"


def waits(text):
    """Tokens and waits of each translation that was timed."""
    return [(int(a), int(b)) for a, b in re.findall(r"(\d+) tokens, [0-9.]+ ms, (\d+) wait", text)]


def learn_and_translate(folder, model):
    done = call(folder, "train", "--model", model, "--out", "m", *SMALL)
    losses = [float(x) for x in re.findall(r"check pairs ([0-9.]+)", done.stdout)]
    assert len(losses) == 2 and losses[1] < losses[0] and "of 48 exact" in done.stdout, done.stdout

    # The first translation of a size also tries the kernels; from the second on the host waits once, however many tokens there are.
    for how in ([], ["--beams", 3], ["--temperature", 0.7, "--top-k", 5, "--beams", 3]):
        done = call(folder, "run", "m", DATE, DATE, DATE, *how)
        counted = waits(done.stdout)
        assert len(counted) == 3, done.stdout
        for tokens, count in counted[1:]:
            assert count == 1, f"{model} {how}: {count} waits for {tokens} tokens"
        lines = done.stdout.splitlines()
        assert "--temperature" in how or lines[0] == lines[2] == lines[4], done.stdout


def tokens_of(path):
    """A tokenizer's tokens in order."""
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines[0] == "kiln tokenizer characters", lines[0]
    return [line.split("\t")[0] for line in lines[1:] if line]


def translate_onnx(folder):
    """DATE by the exported model, through kiln run."""
    source, target = tokens_of(folder / "m/source.tokens"), tokens_of(folder / "m/target.tokens")
    ids = [source.index(c) if c in source else source.index("<unk>") for c in DATE] + [source.index("<eos>")]
    (folder / "source.bin").write_bytes(struct.pack(f"<{len(ids)}i", *ids))
    (folder / "lengths.bin").write_bytes(struct.pack("<i", len(ids)))
    done = subprocess.run([KILN, "run", "m.onnx", "--input", f"source=source.bin:i32:1,{len(ids)}", "--input",
                           "source_length=lengths.bin:i32:1", "--output", "tokens=tokens.npy"], cwd=folder,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    data = (folder / "tokens.npy").read_bytes()
    data = data[10 + struct.unpack("<H", data[8:10])[0]:]
    tokens = [target[i] for i in struct.unpack(f"<{len(data) // 4}i", data)]
    tokens = tokens[:tokens.index("<eos>")] if "<eos>" in tokens else tokens
    return "".join(token for token in tokens if token not in ("<pad>", "<bos>"))


def test_models(folder, _):
    for model in ("lstm", "gru", "transformer"):
        learn_and_translate(folder, model)
        done = call(folder, "run", "m", DATE)
        picture = folder / f"{model}.png"
        if model == "lstm":
            assert "no attention" in call(folder, "map", "m", DATE, "--picture", picture, code=1).stderr
        else:
            call(folder, "map", "m", DATE, "--target", "2021-03-03", "--picture", picture)
            assert picture.read_bytes()[:4] == b"\x89PNG"
        call(folder, "export", "m", "m.onnx")
        assert translate_onnx(folder) == done.stdout.splitlines()[0], model

    (folder / "in.txt").write_text(f"{DATE}\n3/9/21\n\n")
    done = call(folder, "run", "m", "--file", "in.txt")
    assert len(done.stdout.splitlines()) == 3 and "3 texts" in done.stderr, done
    typed = call(folder, "run", "m", text=f"{DATE}\n3/9/21\n").stdout
    assert len(waits(typed)) == 2, typed
    assert "of 20 exact" in call(folder, "test", "m", "--rows", 20).stdout


def test_pairs_of_a_table(folder, _):
    (folder / "pairs.tsv").write_text("".join(f"one {word}\tein {word}\tsource\n" for word in "abcdefgh" * 10))
    done = call(folder, "train", "--data", "pairs.tsv", "--model", "gru", "--out", "t", *SMALL)
    assert "43 pairs to learn from, 3 to watch by, 2 to judge by" in done.stdout, done.stdout
    done = call(folder, "train", "--data", "pairs.tsv", "--model", "gru", "--pairs", 270, "--out", "t", *SMALL, "--steps", 0,
                "--minutes", 0.001)
    assert "; 270 and " in done.stdout and "of the check pairs" in done.stdout, done.stdout
    assert len(waits(call(folder, "run", "t", "one a").stdout)) == 1


def test_multi30k(folder, _):
    data = external("multi30k", "multi30k")
    done = call(folder, "train", "--data", data, "--to", "de", "--pairs", 400, "--out", "m", *SMALL)
    assert "48 pairs to learn from, 48 to watch by, 48 to judge by; 400 and 400 tokens" in done.stdout, done.stdout
    done = call(folder, "train", "--data", data, "--to", "fr", "--words", "--minimum", 2, "--out", "m", *SMALL)
    assert "BLEU" in done.stdout, done.stdout


def test_english_and_french(folder, _):
    data = external("eng-fra", "eng-fra/eng-fra.txt")
    done = call(folder, "train", "--data", data, "--model", "gru", "--out", "m", *SMALL, "--rows", 200)
    assert "180 pairs to learn from, 10 to watch by, 10 to judge by" in done.stdout, done.stdout
    assert "BLEU" in call(folder, "test", "m", "--data", data, "--rows", 200).stdout


def test_wrong_calls(folder):
    for options, code, text in ((["--width", "3"], 2, "even width"), (["--modle", "gru"], 2, "--modle"), (["--model", "cnn"], 2, "cnn"),
                             (["--steps", "few"], 2, "--steps wants a whole number"), (["--data", "none.tsv"], 1, "none.tsv"),
                             (["--data", str(folder)], 1, "train.en")):
        done = call(folder, "train", *options, code=code)
        assert text in done.stderr, (options, done.stderr)
    assert "none" in call(folder, "run", "none", "text", code=1).stderr
    assert "picture" in call(folder, "map", "m", DATE, code=2).stderr
    assert "commands are" in call(folder, "learn", code=2).stderr
    assert "command is missing" in call(folder, code=2).stderr
    assert "usage: translate" in call(folder, "--help").stdout and "usage: translate" in call(folder, "run", "--help").stdout


main(globals())
