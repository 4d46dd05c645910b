#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what scikit-learn, scipy, seqeval and transformers make of given answers, for the tests of metro/tasks.

    pip install scikit-learn==1.7.2 scipy==1.16.3 seqeval==1.2.2
    pip download --no-deps transformers==4.57.3 && unzip -d wheel transformers-*.whl
    export SQUAD_METRICS=wheel/transformers/data/metrics/squad_metrics.py
    python scripts/parity/metrics.py metro/tasks/testdata/metrics.json
"""

import json
import os
import random
import re
import sys
import warnings

import scipy.stats
import seqeval.metrics
import sklearn
import sklearn.metrics as m
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

warnings.simplefilter("ignore")
rng = random.Random(0)

ABOUT = (
    "Written by scripts/parity/metrics.py with scikit-learn %s, scipy %s, seqeval 1.2.2. classes: accuracy, balanced "
    "accuracy, F1 of class 1 (two classes alone), macro F1 over the labels that occur, Matthews. numbers: Pearson, "
    "Spearman, mean squared error; 0 where scipy has NaN. entities: entity F1 of seqeval's default mode. tfidf: "
    "logits of TfidfVectorizer(ngram_range=(1, 2)) and LogisticRegression(C=1). answers: exact match and F1 of SQuAD's "
    "official evaluation, as transformers 4.57.3 carries it."
) % (sklearn.__version__, scipy.__version__)


def classes(n, k, right):
    truth = [rng.randrange(k) for _ in range(n)]
    predicted = [t if rng.random() < right else rng.randrange(k) for t in truth]
    return truth, predicted


def class_cases():
    cases = [classes(n, k, r) for n, k, r in [(40, 2, 0.6), (200, 3, 0.4), (30, 5, 0.9), (7, 4, 0.2)]]
    cases += [([0, 1, 1, 0], [0, 0, 0, 0]), ([1, 1, 1], [1, 1, 1]), ([0, 0, 1], [1, 1, 0])]
    for truth, predicted in cases:
        k = max(truth + predicted) + 1
        yield {
            "classes": k, "truth": truth, "predicted": predicted,
            "accuracy": m.accuracy_score(truth, predicted),
            "balanced_accuracy": m.balanced_accuracy_score(truth, predicted),
            "macro_f1": m.f1_score(truth, predicted, average="macro", zero_division=0),
            "matthews": m.matthews_corrcoef(truth, predicted),
            **({"f1": m.f1_score(truth, predicted, pos_label=1, zero_division=0)} if k == 2 else {}),
        }


def number_cases():
    cases = [([rng.gauss(0, 1) for _ in range(50)],) * 2]
    x = [rng.gauss(0, 1) for _ in range(80)]
    cases += [(x, [v + rng.gauss(0, 0.7) for v in x])]
    ties = [float(rng.randrange(6)) for _ in range(60)]
    cases += [(ties, [round(v + rng.gauss(0, 1)) / 2 for v in ties]), ([1.0, 2.0, 3.0], [4.0, 4.0, 4.0])]
    zero = lambda v: 0.0 if v != v else float(v)
    for truth, predicted in cases:
        yield {
            "truth": truth, "predicted": predicted,
            "pearson": zero(scipy.stats.pearsonr(truth, predicted)[0]),
            "spearman": zero(scipy.stats.spearmanr(truth, predicted)[0]),
            "mse": m.mean_squared_error(truth, predicted),
        }


def tags(n, valid):
    kinds, out, before = ["PER", "LOC", "ORG"], [], "O"
    for _ in range(n):
        prefix = rng.choice(["O", "O", "B", "I", "I"])
        kind = rng.choice(kinds)
        if prefix == "I" and valid:
            tag = "I-" + before[2:] if before != "O" else "B-" + kind
        else:
            tag = "O" if prefix == "O" else prefix + "-" + kind
        out.append(tag)
        before = tag
    return out


def entity_cases():
    for valid in (True, False):
        truth = [tags(rng.randrange(1, 12), valid) for _ in range(40)]
        predicted = [[t if rng.random() < 0.7 else rng.choice(tags(3, valid)) for t in s] for s in truth]
        yield {
            "truth": truth, "predicted": predicted,
            "entity_precision": float(seqeval.metrics.precision_score(truth, predicted)),
            "entity_recall": float(seqeval.metrics.recall_score(truth, predicted)),
            "entity_f1": float(seqeval.metrics.f1_score(truth, predicted)),
        }
    yield {"truth": [["O", "O"]], "predicted": [["O", "O"]], "entity_precision": 0.0, "entity_recall": 0.0, "entity_f1": 0.0}


def tfidf_case(k):
    words = ["The_reader", "writes", "files", "a", "é", "naïve", "x1", "closes", "opens", "buffers", "and", "I", "don't"]
    def text(c):
        return " ".join(rng.choice(words + [["good", "bad", "odd"][c % 3]] * 3) for _ in range(rng.randrange(3, 12)))
    train = [(text(i % k), i % k) for i in range(60)]
    test = [text(i % k) for i in range(30)]
    v = TfidfVectorizer(ngram_range=(1, 2))
    x = v.fit_transform([t for t, _ in train])
    lr = LogisticRegression(C=1.0, max_iter=2000, tol=1e-9).fit(x, [c for _, c in train])
    p = lr.decision_function(v.transform(test))
    return {"classes": k, "texts": [t for t, _ in train], "labels": [c for _, c in train], "test": test, "logits": p.tolist(), "features": len(v.vocabulary_)}


def squad():
    """The functions of the official evaluation, without the rest of transformers, which wants torch."""
    text = open(os.environ["SQUAD_METRICS"]).read()
    space = {"re": re, "string": __import__("string"), "collections": __import__("collections")}
    body = text[text.index("def normalize_answer"):text.index("def apply_no_ans_threshold")]
    exec(body, space)
    return space


def answer_cases():
    s = squad()
    cases = [
        ("The café", ["café"]), ("a  red, house!", ["The red house"]), ("Ann", ["of Ann", "Ann"]), ("", ["Ann"]), ("", []), ("Ann", []),
        ("the", ["a"]), ("maña a", ["maña"]), ("U.S.", ["US", "United States"]), ("two two three", ["two three three"]), ("“the” end", ["“” end"]),
        ("AN APPLE—a day", ["apple— day"]), ("x_a", ["x a"]), ("the", ["Ann"]), ("1990s", ["the 1990s", "the"]), ("l'an neuf", ["lan neuf"]),
    ]
    for predicted, accepted in cases:
        gold = [a for a in accepted if s["normalize_answer"](a)] or [""]
        yield {
            "predicted": predicted, "accepted": accepted,
            "exact": max(s["compute_exact"](a, predicted) for a in gold), "f1": max(s["compute_f1"](a, predicted) for a in gold),
        }


out = {
    "about": ABOUT, "classes": list(class_cases()), "numbers": list(number_cases()), "entities": list(entity_cases()),
    "answers": list(answer_cases()),
    "tfidf": [tfidf_case(2), tfidf_case(3)],
}
with open(sys.argv[1], "w") as f:
    json.dump(out, f, ensure_ascii=False, separators=(",", ":"))
    f.write("\n")
