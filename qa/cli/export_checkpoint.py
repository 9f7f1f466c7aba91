"""`qa export-checkpoint`: a checkpoint -> a model."""

from qa.cli.display import print_line
from qa.cli.model_flags import ExportCheckpoint
from qa.run_folder.export import export_checkpoint


def run(arguments: ExportCheckpoint) -> None:
    """Make the model and say where it is."""
    folder = export_checkpoint(
        arguments.checkpoint, arguments.output, weights=arguments.weights, overwrite=arguments.overwrite
    )
    print_line(f"wrote the model of {arguments.checkpoint} to {folder}")
