#!/usr/bin/env python3
"""textgen.py TEXTGEN - runs the sample that writes: every cell learns a few steps and writes; and it says what is wrong."""
from sample import external, main, run

SMALL = ("--units", 12, "--length", 8, "--batch", 4, "--steps", 6, "--every", 3, "--write", 20)


def learn_and_write(folder, cell):
    out = run(folder, *SMALL, "--cell", cell, "--csv", "losses.csv", "--picture", "losses.png", "--start", "two plus ")
    assert out.startswith(f"{cell} of 12 units, 22 characters") and "step 6: loss" in out, out
    assert len(out[out.index("two plus ") + 9:]) == 21, out  # what was written, and the newline behind it
    assert (folder / "losses.csv").read_text().count("\n") == 3
    assert (folder / "losses.png").stat().st_size > 0
    again = run(folder, *SMALL, "--cell", cell, "--steps", 0, "--from", "textgen.safetensors", "--start", "two plus ")
    assert again.splitlines()[-1] == out.splitlines()[-1], "the same weights and seed write the same"


def test_rnn_learns_and_writes(folder, device):
    learn_and_write(folder, "rnn")


def test_lstm_learns_and_writes(folder, device):
    learn_and_write(folder, "lstm")


def test_gru_learns_and_writes(folder, device):
    learn_and_write(folder, "gru")


def test_learns_from_a_file(folder):
    (folder / "text.txt").write_text("Grüße, Ñandú!\n" * 40)
    out = run(folder, "text.txt", *SMALL)
    assert "14 characters" in out, out
    (folder / "line.txt").write_text("no newline here, " * 40)
    assert "no newline" not in run(folder, "line.txt", *SMALL)
    err = run(folder, "line.txt", *SMALL, "--start", "123", code=1)
    assert err == "textgen: no character of --start 123 is in the text\n", err


def test_reads_shakespeare(folder):
    out = run(folder, external("tinyshakespeare", "tinyshakespeare/input.txt"), *SMALL, "--length", 64, "--batch", 64,
              "--steps", 1)
    assert "65 characters, 15685 windows" in out, out


def test_says_what_is_wrong(folder):
    assert run(folder, "--help").startswith("usage: textgen")
    for arguments, code, reason in (
            (["--cell", "cnn"], 2, "--cell is rnn, lstm or gru"), (["--layers", 2], 2, "no option --layers"),
            (["--steps"], 2, "wants a value"), (["--steps", "x"], 2, "--steps wants a whole number"),
            (["--units", 2.5], 2, "from 1 to 1e9, not 2.5"), (["a.txt", "b.txt"], 2, "b.txt is another"),
            (["none.txt"], 1, "none.txt")):
        err = run(folder, *arguments, code=code)
        assert reason in err and err.count("\n") == 1, err


main(globals())
