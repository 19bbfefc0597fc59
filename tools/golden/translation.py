#!/usr/bin/env python3
"""translation.py - BLEU and chrF of small corpora as sacreBLEU (pip install sacrebleu) computes them: tests/golden/translation.json."""
import json
import pathlib

from sacrebleu.metrics import BLEU, CHRF

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/translation.json"

GUESSES = [
    "The dog bit the man.", "It was not unexpected.", "The man bit him first.", "", "Two young men, one dog...",
    "Price: $3.50 (12,000 km) - that's 5-6%, isn't it?", "Zwei junge Männer sitzen auf der Bank.", "&quot;Hello&quot; &amp; bye &lt;b&gt;",
    "a a a a a a", "l'été où l'on naît", "日本語の文章", "one", "1-2 3.4 5,6 a.b c,d ... ,, 7. .8", "(hi) [there] \"you\" 'us'",
    "  spaces\tand\u00a0more \n", "Same as it ever was, same as it ever was.",
]
REFERENCES = [[
    "The dog bit the man.", "It was not unexpected.", "The man bit him first.", "nothing", "Two young men and one dog.",
    "The price was $3.50 (12,000 km) -- that's 5-6 %, is it not?", "Zwei junge Männer sitzen auf einer Bank.", "\"Hello\" & bye <b>",
    "a a b", "l'été, l'on naît", "日本語の文", "one", "1-2 3.4 5,6 a.b c,d... ,, 7. .8", "(hi) there \"you\" 'us",
    "spaces and more", "Same as it ever was; same as it ever was!",
], [
    "The dog had bit the man.", "No one was surprised.", "The man had bitten the dog.", "", "Two youths, one dog...",
    "Cost: $3.50 (12,000 km) - 5-6%, right?", "Auf der Bank sitzen zwei junge Männer.", "Hello & bye b", "a a a b",
    "l'été où naît l'on", "日本の文章", "two", "1 - 2", "hi there you us", "more spaces", "It is the same as it ever was.",
]]
SETS = {"all": range(len(GUESSES)), "first": range(3), "poor": [4, 8, 13], "hopeless": [3, 11, 1], "nothing": [3]}
SMOOTHINGS = ["exp", "floor", "add-k", "none"]


def pick(lists, rows):
    return [[texts[i] for i in rows] for texts in lists]


def bleu_case(score):
    return {"score": score.score, "precision": score.precisions, "brevity": score.bp,
            "length": score.sys_len, "reference_length": score.ref_len}


def main():
    corpora, sentences = [], []
    for name, rows in SETS.items():
        for count in (1, 2):
            guesses, references = pick([GUESSES], rows)[0], pick(REFERENCES[:count], rows)
            case = {"name": name, "guesses": guesses, "references": references, "bleu": {}, "chrf": {}}
            for smoothing in SMOOTHINGS:
                case["bleu"][smoothing] = bleu_case(BLEU(smooth_method=smoothing).corpus_score(guesses, references))
            case["bleu"]["lower"] = bleu_case(BLEU(lowercase=True).corpus_score(guesses, references))
            case["bleu"]["tokenized"] = bleu_case(BLEU(tokenize="none").corpus_score(guesses, references))
            case["chrf"]["chrf"] = CHRF().corpus_score(guesses, references).score
            case["chrf"]["chrf++"] = CHRF(word_order=2).corpus_score(guesses, references).score
            case["chrf"]["lower"] = CHRF(lowercase=True, beta=1, char_order=4).corpus_score(guesses, references).score
            corpora.append(case)
    for i, guess in enumerate(GUESSES):
        references = [texts[i] for texts in REFERENCES]
        case = {"guess": guess, "references": references}
        for smoothing in SMOOTHINGS:
            case[smoothing] = BLEU(smooth_method=smoothing, effective_order=True).sentence_score(guess, references).score
        case["chrf++"] = CHRF(word_order=2).sentence_score(guess, references).score
        sentences.append(case)
    OUT.write_text(json.dumps({"corpora": corpora, "sentences": sentences}, ensure_ascii=False, indent=0) + "\n")


main()
