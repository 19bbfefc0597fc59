#!/usr/bin/env python3
"""text.py - what Hugging Face's `tokenizers` (pip install tokenizers) learns of a small corpus and makes of some texts.

Writes tests/golden/tokenizers/: NAME.json, a tokenizer as the library saved it, and cases.json, the numbers and the decoded text
of each text by each tokenizer. corpus.txt beside them is what it learned of.
"""
import json
import pathlib

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/tokenizers"
SPECIAL = ["<pad>", "<unk>", "<bos>", "<eos>"]
TEXTS = [
    "", " ", "a", "The lowest newer widths.", "  two  spaces   and\ttabs\n\nlines \n", "don't we'll I'VE they're 'tis",
    "price: $3.50 (12,000 km)!!! -- #1?", "Zwei Männer fahren über die Straße; Käse & Brot", "L'été où l'on naît...",
    "Привет, мир! Ёлка", "日本語のテキスト 123", "emoji \U0001F600\U0001F680 and é vs é", "aaaaaaa aaab abab",
    "x<pad>y<unk> z <eos>", "before <mask> after", "a <mask>  b<mask>", "\u00a0no-break\u2003space ",
    "tail space ", "0xDEADBEEF _under_score_ ½ Ⅷ", "newest newest newest slowly", "UPPER lower MiXeD ÉÀ",
]


def trained(name, tokenizer, lines, **options):
    trainer = trainers.BpeTrainer(special_tokens=SPECIAL, show_progress=False, **options)
    tokenizer.train_from_iterator(lines, trainer)
    return name, tokenizer


def of_bytes(lines, size, prefix=False):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    t.decoder = decoders.ByteLevel()
    return trained("bytes_prefix" if prefix else "bytes", t, lines, vocab_size=size,
                   initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))


def of_characters(lines, size):
    t = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    t.decoder = decoders.BPEDecoder()
    return trained("characters", t, lines, vocab_size=size, end_of_word_suffix="</w>")


def of_lower(lines, size):
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    t.normalizer = normalizers.Lowercase()
    t.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    name, t = trained("lower", t, [line for line in lines if line.isascii()], vocab_size=size)
    t.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    t.add_tokens([AddedToken("low", single_word=True, normalized=True)])
    return name, t


def main():
    lines = (FOLDER / "corpus.txt").read_text().splitlines()
    cases = []
    for name, t in [of_bytes(lines, 420), of_bytes(lines[:8], 300, True), of_characters(lines, 300), of_lower(lines, 150)]:
        (FOLDER / f"{name}.json").write_text(json.dumps(json.loads(t.to_str()), ensure_ascii=False, separators=(",", ":")))
        for text in TEXTS:
            ids = t.encode(text, add_special_tokens=False).ids
            case = {"tokenizer": name, "text": text, "ids": ids}
            if not set(ids) & set(range(4)):
                case["decoded"] = t.decode(ids, skip_special_tokens=False)
            cases.append(case)
    rows = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (FOLDER / "cases.json").write_text(f"[\n{rows}\n]\n")


main()
