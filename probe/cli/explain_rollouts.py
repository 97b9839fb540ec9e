"""probe explain-rollouts: why did accuracy change, as far as outputs alone can tell?"""

from probe.cli import settings
from probe.cli.compare_rollouts import meant
from probe.cli.experiment_command import present
from probe.cli.explain import show_verdicts, verdicts
from probe.cli.groups import command


@command("explain-rollouts", place=155)
def explain_rollouts(
    path: settings.Outputs,
    after: settings.OutputsAfter = None,
    grading: settings.Labels = None,
    store: settings.Root = None,
    figures: settings.Figures = settings.FIGURES,
    as_json: settings.AsJson = False,
) -> None:
    """Say what outputs alone can tell of why accuracy changed.

    Files and data sets are those of `probe compare-rollouts`. What needs weights, other prompts or fresh problems stays
    undecided, and is named.
    """
    from probe.experiments.explain.outputs import ExplainOutputsJob
    from probe.experiments.published_outputs.job import published_job

    run = settings.Settings(workers=1, store=store, figures=figures, as_json=as_json)
    outputs = published_job([path, after] if after else [meant(path, run.held.root)], grading)
    present(ExplainOutputsJob(outputs), run, lambda result: show_verdicts(result.rows), summary=verdicts)
