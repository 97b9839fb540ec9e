"""probe score: what does a checkpoint make of every token of a text?"""

from pathlib import Path
from typing import Annotated

import typer

from probe.cli import settings
from probe.cli.groups import command
from probe.cli.show import messages, say


@command("score", place=50)
def score(
    rollouts: Annotated[Path, typer.Argument(help="Parquet file of `probe sample --out`.")],
    scorer: Annotated[str, typer.Option("--scorer", help=settings.CHECKPOINT)],
    out: settings.Out,
    run: settings.Weights,
    overwrite: settings.Overwrite = False,
) -> None:
    """Score a text token by token under a checkpoint.

    Log-prob, entropy, margin and rank of each token; ids are never re-tokenised.
    """
    from probe.cli.training import make_needs
    from probe.engine.job import one_thread
    from probe.rollouts.files import read_rollouts
    from probe.store.outputs import named_output
    from probe.tokens.table import score_rollouts

    written = named_output(out, inputs=[rollouts, Path(scorer)], overwrite=overwrite)
    rows, held = read_rollouts(rollouts), run.held
    which = run.checkpoint(scorer)
    make_needs(which.needs, held, run.workers)
    if not which.is_outside:
        one_thread()
    with messages().status(f"scoring {len(rows)} responses"):
        table = score_rollouts(rows, which.load(held), scorer, str(rollouts))
    written.write_table(table)
    say(f"wrote {table.num_rows} tokens to {out}")
