"""Two examples of every command: what stands below its --help."""

EXAMPLES: dict[str, tuple[str, str]] = {
    "demo": ("qa demo", "qa demo --out /tmp/demo"),
    "train": (
        "qa train minilm-squad --output-dir runs/minilm-squad",
        "qa train --train-data mine.json --validation-data 0.1 --output-dir runs/mine",
    ),
    "configs": ("qa configs", "qa configs ~/launch --overwrite"),
    "ask": (
        "qa ask runs/demo/model --file report.txt --question 'Who signed it?'",
        "qa ask runs/demo/model --question 'When?' --context 'It began in 1541.' --top-k 3 --json",
    ),
    "ground": (
        "qa ground report.txt --answer 'It began in 1541.'",
        "qa ground a.txt b.txt --file answer.txt --model runs/demo/model",
    ),
    "predict": (
        "qa predict runs/demo/model questions.csv answers.jsonl",
        "qa predict runs/demo/model documents answered --engine ray --workers 8 --keep id",
    ),
    "score": (
        "qa score sample answers.jsonl",
        "qa score dev-v2.0.json predictions.json --null-odds null_odds.json --threshold official",
    ),
    "inspect": ("qa inspect sample --examples 5 --seed 1", "qa inspect mine.json --longest 10 --max-length 256"),
    "convert": ("qa convert export.json squad.json", "qa convert table.csv mine.jsonl --on-bad-example repair"),
    "split": ("qa split mine.json parts --test 0.2", "qa split mine.json folds --folds 5"),
    "unanswerable": (
        "qa unanswerable sample unanswerable.jsonl",
        "qa unanswerable squad unanswerable.parquet --share 0.3 --seed 1",
    ),
    "calibrate": ("qa calibrate runs/demo/model sample", "qa calibrate runs/demo/model dev.json --no-save --json"),
    "export": ("qa export runs/demo/model", "qa export runs/demo/model --out reader-onnx --data dev.json"),
    "trim": ("qa trim multilingual small sample:zh", "qa trim runs/demo/model small train.json dev.json"),
    "serve": ("qa serve runs/demo/model", "qa serve runs/demo/model --backend onnx_int8 --host 0.0.0.0 --port 80"),
    "sweep": ("qa sweep sweep.yaml --dry-run", "qa sweep sweep.yaml --out runs/rates --jobs 2"),
    "compare": ("qa compare runs/one runs/other", "qa compare runs/seed-* --each --plot curves.png"),
    "errors": ("qa errors runs/demo --html errors.html", "qa errors runs/demo --kind missed invented --examples 20"),
    "adapt": (
        "qa adapt texts",
        "qa adapt texts --train-data mine.json --validation-data dev.json --out runs/adapted",
    ),
    "crossval": ("qa crossval mine.json", "qa crossval mine.json --folds 10 --jobs 2 --out runs/folds"),
    "tutorial": ("qa tutorial", "qa tutorial notebooks/qa.ipynb"),
    "cache": ("qa cache", "qa cache --prune-days 30"),
    "export-checkpoint": (
        "qa export-checkpoint runs/mine/checkpoints/step-00000400 model-400",
        "qa export-checkpoint runs/mine/checkpoints/step-00000400 model-400 --weights averaged",
    ),
}


def told_examples(command: str) -> str:
    """Return what stands below the command's --help; nothing below that of all."""
    lines = "".join(f"\n  {example}" for example in EXAMPLES.get(command, ()))
    return f"examples:{lines}" if lines else ""
