"""Trains a tiny random BART with transformers' Seq2SeqTrainer and keeps the result files that it writes, for
tests/unit/metrics/hf_results_test.cpp.

    python scripts/reference/hf_results_fixture.py tests/fixtures/metrics/hf_results.json

Made with torch 2.11.0 and transformers 5.17, CPU, seed 0. The calls are those of run_summarization.py;
the progress bar stays on, since without it the printer takes total_flos out of the results.
"""
import json
import sys
import tempfile

import torch
import transformers
from transformers import BartConfig, BartForConditionalGeneration, Seq2SeqTrainer, Seq2SeqTrainingArguments


def make_data(count):
    generator = torch.Generator().manual_seed(0)
    return [{"input_ids": torch.randint(4, 50, (8,), generator=generator),
             "labels": torch.randint(4, 50, (5,), generator=generator)} for _ in range(count)]


def compute_metrics(_):
    # The script's form: ROUGE x 100 to 4 decimals, and the mean count of tokens that are not padding.
    scores = {"rouge1": 0.123456789, "rouge2": 0.05, "rougeL": 0.1, "rougeLsum": 0.11}
    result = {name: round(score * 100, 4) for name, score in scores.items()}
    result["gen_len"] = 7.25
    return result


def main():
    torch.manual_seed(0)
    config = BartConfig(vocab_size=50, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=32)
    with tempfile.TemporaryDirectory() as folder:
        arguments = Seq2SeqTrainingArguments(
            output_dir=folder, per_device_train_batch_size=4, per_device_eval_batch_size=4, num_train_epochs=2,
            logging_steps=2, eval_strategy="epoch", save_strategy="epoch", predict_with_generate=True, use_cpu=True,
            generation_max_length=8, report_to=[], load_best_model_at_end=True, metric_for_best_model="rouge1")
        trainer = Seq2SeqTrainer(model=BartForConditionalGeneration(config), args=arguments, train_dataset=make_data(18),
                                 eval_dataset=make_data(6), compute_metrics=compute_metrics)
        metrics = trainer.train().metrics
        metrics["train_samples"] = 18
        trainer.save_metrics("train", metrics)
        trainer.save_state()
        metrics = trainer.evaluate(metric_key_prefix="eval")
        metrics["eval_samples"] = 6
        trainer.save_metrics("eval", metrics)
        metrics = trainer.predict(make_data(5), metric_key_prefix="predict").metrics
        metrics["predict_samples"] = 5
        trainer.save_metrics("predict", metrics)
        files = {}
        for name in ["train_results", "eval_results", "predict_results", "all_results", "trainer_state"]:
            with open(f"{folder}/{name}.json", encoding="utf-8") as file:
                files[name] = json.loads(file.read().replace(folder, "RUN"))
    files["made_with"] = {"torch": torch.__version__, "transformers": transformers.__version__}
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(files, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
