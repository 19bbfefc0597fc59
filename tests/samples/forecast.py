#!/usr/bin/env python3
"""forecast.py FORECAST - runs the sample that forecasts: it learns, judges, draws, beats both baselines, and says what is wrong."""
import math

from sample import external, main, run

SMALL = ("--epochs", 2, "--units", 4)


def errors(out):
    """Mean absolute errors of the network and of the baselines."""
    rows = [line.rsplit(None, 2) for line in out.splitlines()]
    return [float(next(row[1] for row in rows if row[0] == name)) for name in ("network", "last value", "a season ago")]


def test_learns_judges_and_draws(folder, device):
    out = run(folder, *SMALL, "--picture", "forecast.png")
    assert "277 forecasts of 24 steps" in out and errors(out)[0] > 0, out
    assert (folder / "forecast.png").stat().st_size > 0 and (folder / "forecast.safetensors").stat().st_size > 0


def test_beats_both_baselines(folder):
    network, last, season = errors(run(folder))
    assert network < 0.9 * min(last, season), (network, last, season)


def test_beats_both_baselines_on_passengers(folder):
    data = external("timeseries", "timeseries/airline-passengers.csv")
    network, last, season = errors(run(folder, data, "--season", 12, "--past", 24, "--future", 12, "--batch", 8,
                                       "--epochs", 100, "--patience", 50))
    assert network < 0.5 * min(last, season), (network, last, season)


def test_reads_columns(folder):
    rows = [f"{i},{i % 7},{math.sin(i)}" for i in range(200)]
    (folder / "three.csv").write_text("day,week,wave\n" + "\n".join(rows) + "\n")
    out = run(folder, "three.csv", *SMALL, "--column", 3, "--season", 8, "--past", 12, "--future", 4)
    assert "27 forecasts of 4 steps" in out, out
    err = run(folder, "three.csv", *SMALL, "--column", 4, code=1)
    assert "column 4" in err and err.count("\n") == 1, err


def test_says_what_is_wrong(folder):
    assert run(folder, "--help").startswith("usage: forecast")
    (folder / "short.csv").write_text("1\n2\n3\n")
    for arguments, code, reason in (
            (["--future", 30], 2, "beyond the season"), (["--layers", 2], 2, "no option --layers"),
            (["--past"], 2, "wants a value"), (["--past", 0], 2, "--past wants a whole number from 1 to 1e9, not 0"),
            (["--rate", 0], 2, "--rate wants a number from 1e-09"), (["a.csv", "b.csv"], 2, "b.csv is another"),
            (["none.csv"], 1, "none.csv"), (["short.csv", "--column", 1], 1, "windows: ")):
        err = run(folder, *arguments, code=code)
        assert reason in err and err.count("\n") == 1, err


main(globals())
