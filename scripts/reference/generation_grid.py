"""Compares `txtsum summarize` with transformers' generate() under many settings drawn at random.

Run:  python scripts/reference/generation_grid.py [--settings 324] [--seed N] [--binary build/release/txtsum] [-- run.device=cuda ...]
      (torch 2.11.0, transformers 5.17.0; what follows `--` goes to every call of the binary)

Makes tiny random models of BART, T5 and Pegasus whose logits are sharp, so that scores lie far apart, and draws texts and settings; all of it
follows from the seed, which is a fresh one where none is given and is printed. Beams, early stopping and length penalty go through all of their
combinations; the other options are drawn. A setting reaches the binary as key=value arguments, or in the folder's generation_config.json in
transformers' own words. The binary is called once a setting, for all texts; transformers gets each text alone, so that padding plays no part.

Compares the ids of every hypothesis and, but for greedy search, its score. Prints how many settings were compared, equal and unequal. Exits with
1 where ids differ though the scores lie more than 1e-4 apart, or where scores of the same ids differ.
"""
import argparse
import collections
import itertools
import json
import pathlib
import random
import secrets
import string
import subprocess
import sys
import tempfile

import tokenizers
import torch
import transformers
from transformers import BartConfig, BartForConditionalGeneration, PegasusConfig, PegasusForConditionalGeneration, T5Config, T5ForConditionalGeneration

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
START, PAD, END = 0, 1, 2
LETTERS = string.ascii_letters + string.digits
VOCABULARY = len(SPECIAL) + len(LETTERS)
POSITIONS = 64
SPREAD_OF_LOGITS = 4.0  # standard deviation
SCORE_GAP = 1e-4  # what may come in either order
SCORE_TOLERANCE = 1e-3  # relative; rounding alone moves a log-probability of such a model by up to 5e-5
MADE_UP = -1e8  # transformers fills places for which it has found no hypothesis with scores of -1e9

SEARCHES = list(itertools.product(range(1, 7), (False, True, "never"), ("below", "at", "above")))
LENGTH_PENALTIES = {"below": (-1.0, 0.0, 0.4, 0.8), "at": (1.0,), "above": (1.2, 2.0, 3.0)}

# transformers' option and ours.
NAMES = {
    "num_beams": "beams", "early_stopping": "early_stopping", "length_penalty": "length_penalty", "max_length": "max_new_tokens",
    "max_new_tokens": "max_new_tokens", "min_length": "min_new_tokens", "min_new_tokens": "min_new_tokens", "no_repeat_ngram_size": "no_repeat_ngram",
    "encoder_no_repeat_ngram_size": "encoder_no_repeat_ngram", "repetition_penalty": "repetition_penalty", "renormalize_logits": "renormalize_logits",
    "forced_bos_token_id": "forced_bos_token_id", "forced_eos_token_id": "forced_eos_token_id", "decoder_start_token_id": "decoder_start_token_id",
    "suppress_tokens": "suppress_tokens", "bad_words_ids": "bad_words_ids", "num_return_sequences": "hypotheses",
}
COUNT_THE_START = ("max_length", "min_length")  # ours do not


def make_tokenizer():
    """A token a letter, between <s> and </s>."""
    vocabulary = {token: i for i, token in enumerate(SPECIAL + list(LETTERS))}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", START), ("</s>", END)])
    return tokenizer


def bart_model(family):
    roles = dict(bos_token_id=START, pad_token_id=PAD, eos_token_id=END, decoder_start_token_id=END, forced_eos_token_id=None)
    sizes = dict(vocab_size=VOCABULARY, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
                 encoder_ffn_dim=24, decoder_ffn_dim=24, max_position_embeddings=POSITIONS, dropout=0.0, init_std=0.4)
    if family == "bart":
        return BartForConditionalGeneration(BartConfig(**roles, **sizes))
    return PegasusForConditionalGeneration(PegasusConfig(**{**roles, "decoder_start_token_id": PAD}, **sizes, scale_embedding=True))


def t5_model(tied):
    return T5ForConditionalGeneration(T5Config(vocab_size=VOCABULARY, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_decoder_layers=2, num_heads=2,
                                               relative_attention_num_buckets=8, relative_attention_max_distance=16, dropout_rate=0.0,
                                               initializer_factor=1.0, feed_forward_proj="relu" if tied else "gated-gelu", tie_word_embeddings=tied,
                                               pad_token_id=PAD, eos_token_id=END, decoder_start_token_id=PAD))


def last_norm(model):
    """What the output table is multiplied with comes from it."""
    decoder = model.get_decoder()
    return getattr(decoder, "final_layer_norm", None) or getattr(decoder, "layer_norm", None) or decoder.layers[-1].final_layer_norm


@torch.no_grad()
def make_model(family, seed):
    """Its logits have the same spread in all families, and the end token is a likely one. The spread comes from the last norm: large weights everywhere
    would magnify rounding to 1e-4 in a log-probability. Half of that norm's weights are negative: with the table of the embeddings as output table a
    random model would write its last token again and again."""
    torch.manual_seed(seed)
    model = (t5_model(tied=family == "t5") if family.startswith("t5") else bart_model(family)).eval()
    texts = torch.randint(len(SPECIAL), VOCABULARY, (8, 20))
    norm = last_norm(model).weight
    norm.mul_(torch.randint(2, norm.shape) * 2.0 - 1.0)
    norm.mul_(SPREAD_OF_LOGITS / model(input_ids=texts, decoder_input_ids=texts.flip(1)).logits.std())
    if hasattr(model, "final_logits_bias"):
        model.final_logits_bias[0, END] += 1.5 * SPREAD_OF_LOGITS
    else:
        model.get_output_embeddings().weight[END] *= 2.0
    model.generation_config = transformers.GenerationConfig(pad_token_id=PAD, eos_token_id=END, decoder_start_token_id=model.config.decoder_start_token_id)
    return model


def make_models(folder, families, draw):
    """Folders as of the Hub; the last of a family has several end tokens."""
    models = []
    for family in families:
        for several_ends in (False, True):
            model = make_model(family, draw.randrange(2**32))
            if several_ends:
                model.generation_config.eos_token_id = [END] + draw.sample(range(len(SPECIAL), VOCABULARY), 2)
            path = folder / f"{family}{'_ends' if several_ends else ''}"
            model.save_pretrained(path)
            make_tokenizer().save(str(path / "tokenizer.json"))
            models.append((path.name, path, model))
    return models


def draw_lengths(draw):
    longest = draw.choice((6, 8, 12, 16, 20, 24))
    theirs = draw.choice(({"max_length": longest}, {"max_new_tokens": longest - 1}))
    shortest = draw.choice((None, None, 3, 6, longest // 2, longest - 1))
    if shortest is not None:
        theirs.update(draw.choice(({"min_length": shortest}, {"min_new_tokens": shortest - 1})))
    return theirs


def draw_rules(draw):
    """One value of each option, None being that it is not given."""
    letter = lambda: draw.randrange(len(SPECIAL), VOCABULARY)
    word = lambda: [letter() for _ in range(draw.randint(1, 3))]
    first, last = draw.choice((None, None, START, letter())), draw.choice((None, END, END, letter()))
    # A forced token that is suppressed too forbids everything, which the binary refuses.
    others = [id for id in range(len(SPECIAL), VOCABULARY) if id not in (first, last)]
    options = {
        "no_repeat_ngram_size": draw.choice((None, None, 1, 2, 3, 4)),
        "encoder_no_repeat_ngram_size": draw.choice((None, None, 1, 2, 3)),
        "repetition_penalty": draw.choice((None, None, 0.7, 1.2, 1.8)),
        "renormalize_logits": draw.choice((None, False, True, True)),
        "forced_bos_token_id": first,
        "forced_eos_token_id": last,
        "decoder_start_token_id": draw.choice((None, None, None, letter())),
        "suppress_tokens": draw.choice((None, None, None, sorted(draw.sample(others, 12)))),
        "bad_words_ids": draw.choice((None, None, None, [word() for _ in range(6)])),
    }
    return {name: value for name, value in options.items() if value is not None}


def draw_setting(search, draw):
    beams, early_stopping, penalty = search
    setting = {"num_beams": beams, "early_stopping": early_stopping, "length_penalty": draw.choice(LENGTH_PENALTIES[penalty])}
    return {**setting, **draw_lengths(draw), **draw_rules(draw), "num_return_sequences": draw.randint(1, beams)}


def our_arguments(setting):
    arguments = []
    for name, value in setting.items():
        number = value - 1 if name in COUNT_THE_START else value
        arguments.append(f"generation.{NAMES[name]}={number if isinstance(number, str) else json.dumps(number)}")
    return arguments


def with_generation_config(path, folder, setting):
    """A copy of the model's folder whose generation_config.json asks for the setting; the number of hypotheses has to be an argument."""
    folder.mkdir()
    for file in path.iterdir():
        (folder / file.name).symlink_to(file)
    content = {**json.loads((path / "generation_config.json").read_text()), **setting}
    content.pop("num_return_sequences")
    (folder / "generation_config.json").unlink()
    (folder / "generation_config.json").write_text(json.dumps(content))
    return our_arguments({"num_return_sequences": setting["num_return_sequences"]})


def ours(binary, model, arguments, texts):
    """Hypotheses of each text as (ids, score)."""
    command = [binary, "summarize", "-q", "--model", str(model), "--input-format", "lines", "--output-format", "jsonl", "run.threads=1", *arguments]
    done = subprocess.run(command, input="\n".join(texts) + "\n", capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\nended with {done.returncode}: {done.stderr}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(texts), (len(lines), len(texts))
    return [[(found["token_ids"], found["score"]) for found in (line, *line.get("others", []))] for line in lines]


def theirs(model, setting, ids):
    out = model.generate(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False,
                         return_dict_in_generate=True, output_scores=True, **setting)
    scores = out.sequences_scores.tolist() if setting["num_beams"] > 1 else [None]
    return list(zip(out.sequences.tolist(), scores)), out.scores


def without_padding(ids):
    while len(ids) > 1 and ids[-1] == PAD:
        ids = ids[:-1]
    return ids


def greedy_gap(found, wanted, steps):
    """How much better transformers finds its own token where the two first differ."""
    at = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), None)
    if at is None or at == 0:
        return float("inf")
    return (steps[at - 1][0, wanted[at]] - steps[at - 1][0, found[at]]).item()


class Comparison:
    """What came of one setting."""

    def __init__(self):
        self.hypotheses, self.near_ties, self.score_error, self.worst_gap, self.failures = 0, 0, 0.0, 0.0, []

    def add(self, text, found, wanted, steps):
        if len(found) != len(wanted):
            self.failures.append(f"text {text}: {len(found)} hypotheses, wanted {len(wanted)}")
        for (ids, score), (wanted_ids, wanted_score) in zip(found, wanted):
            if wanted_score is not None and wanted_score < MADE_UP:
                continue
            self.hypotheses += 1
            same = ids == wanted_ids[: len(ids)] and all(id == PAD for id in wanted_ids[len(ids) :])
            gap = greedy_gap(ids, wanted_ids, steps) if wanted_score is None else abs(score - wanted_score)
            if not same:
                self.worst_gap = max(self.worst_gap, gap)
                self.near_ties += gap <= SCORE_GAP
                if gap > SCORE_GAP:
                    self.failures.append(f"text {text}: gap {gap:.2g}\n  found  {ids} {score}\n  wanted {wanted_ids} {wanted_score}")
            elif wanted_score is not None:
                error = gap / max(1.0, abs(wanted_score))
                self.score_error = max(self.score_error, error)
                if error > SCORE_TOLERANCE:
                    self.failures.append(f"text {text}: score {score}, wanted {wanted_score}")


def options_of(name, setting, by_folder):
    """Under which lines of the table a setting counts."""
    penalty = setting["length_penalty"]
    yield "model", name
    yield "beams", setting["num_beams"]
    yield "early_stopping", str(setting["early_stopping"]).lower()
    yield "length_penalty", "below 1" if penalty < 1 else "1" if penalty == 1 else "above 1"
    yield "hypotheses", "1" if setting["num_return_sequences"] == 1 else "several"
    yield "renormalize_logits", str(setting.get("renormalize_logits", False)).lower()
    for option in ("max_length", "max_new_tokens", "min_length", "min_new_tokens", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size",
                   "repetition_penalty", "forced_bos_token_id", "forced_eos_token_id", "decoder_start_token_id", "suppress_tokens", "bad_words_ids"):
        if option in setting:
            yield option, "given"
    yield "said by", "generation_config.json" if by_folder else "arguments"


def print_table(rows):
    counts = collections.defaultdict(lambda: [0, 0, 0, 0.0])
    for options, comparison in rows:
        for option in options:
            line = counts[option]
            line[0] += 1
            line[1] += not (comparison.failures or comparison.near_ties)
            line[2] += bool(comparison.failures or comparison.near_ties)
            line[3] = max(line[3], comparison.worst_gap)
    print(f"{'option':30} {'value':24} {'compared':>8} {'equal':>6} {'unequal':>7}  widest gap")
    order = {option: i for i, option in enumerate(dict.fromkeys(name for name, _ in counts))}
    for (option, value), (compared, equal, unequal, gap) in sorted(counts.items(), key=lambda item: (order[item[0][0]], str(item[0][1]))):
        print(f"{option:30} {value!s:24} {compared:8} {equal:6} {unequal:7}  {f'{gap:.2g}' if unequal else '-'}")


def run_grid(options, folder, draw):
    models = make_models(folder, ("bart", "t5", "t5_v1_1", "pegasus"), draw)
    texts = ["".join(draw.choices(LETTERS, k=draw.choice((1, 3, 6, 9, 14, 19, 25)))) for _ in range(options.texts)]
    ids = [make_tokenizer().encode(text).ids for text in texts]
    searches = itertools.cycle(draw.sample(SEARCHES, len(SEARCHES)))
    rows, ended = [], 0
    for number in range(options.settings):
        name, path, model = models[draw.randrange(len(models))]
        setting, by_folder = draw_setting(next(searches), draw), draw.random() < 0.25
        arguments = our_arguments(setting)
        if by_folder:
            path, target = folder / f"setting_{number}", path
            arguments = with_generation_config(target, path, setting)
        comparison, found = Comparison(), []
        try:
            found = ours(options.binary, path, [*arguments, f"generation.slots={draw.randint(1, 8)}", *options.arguments], texts)
        except RuntimeError as error:
            comparison.failures.append(str(error))
        for text, source, hypotheses in zip(texts, ids, found):
            wanted, steps = theirs(model, setting, source)
            comparison.add(text, hypotheses, wanted, steps)
            longest = setting.get("max_length", setting.get("max_new_tokens", 0) + 1)
            ended += len(without_padding(wanted[0][0])) < longest
        for failure in comparison.failures:
            print(f"{name} {json.dumps(setting)}\n{failure}")
        rows.append((list(options_of(name, setting, by_folder)), comparison))
    return rows, ended


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=int, default=6 * len(SEARCHES))
    parser.add_argument("--texts", type=int, default=8)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--binary", default=str(ROOT / "build/release/txtsum"))
    parser.add_argument("arguments", nargs="*", help="key=value arguments of every call of the binary")
    options = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print(f"seed {options.seed}, torch {torch.__version__}, transformers {transformers.__version__}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        rows, ended = run_grid(options, pathlib.Path(folder), random.Random(options.seed))
    print_table(rows)
    comparisons = [comparison for _, comparison in rows]
    failed = sum(bool(comparison.failures) for comparison in comparisons)
    near = sum(bool(comparison.near_ties) and not comparison.failures for comparison in comparisons)
    print(f"{len(rows)} settings of {options.texts} texts, {sum(c.hypotheses for c in comparisons)} hypotheses; {ended} of {len(rows) * options.texts} "
          f"best ones end before the limit; largest relative error of a score {max(c.score_error for c in comparisons):.1e}")
    print(f"equal {len(rows) - failed - near}, unequal with scores within {SCORE_GAP:g} {near}, unequal {failed}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
