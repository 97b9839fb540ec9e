"""How a dictionary is fitted: the options that `features` and `dictionary` share."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from probe.checkpoints.checkpoint import Checkpoint
    from probe.dictionaries.fitting.options import Fit

SiteName = Annotated[str | None, typer.Option("--site", help="resid.i, attn.i, mlp.i [the residual two thirds up].")]
Answers = Annotated[int, typer.Option("--samples", min=1, help="Answers a question.")]


@dataclass(frozen=True)
class Fitting:
    """How a dictionary is fitted; what is left out is the recipe of organisms, or that of weights from outside."""

    latents: Annotated[int | None, typer.Option("--latents", min=2, help="[128 for organisms, else 16384]")] = None
    k: Annotated[float | None, typer.Option("--k", min=1.0, help="Active latents a row [4, else 64].")] = None
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Updates [2000, else 20000].")] = None
    rows: Annotated[int | None, typer.Option("--rows", min=1, help="Rows of an update [1024, else 4096].")] = None
    held: Annotated[int | None, typer.Option("--held", min=1, help="Rows kept apart [2048, else 4096].")] = None
    activation: Annotated[
        Literal["topk", "batchtopk", "jumprelu"], typer.Option("--activation", help="Which latents are active.")
    ] = "batchtopk"
    dictionary_seed: Annotated[int, typer.Option("--dictionary-seed", help="Of where the fit begins.")] = 0

    def of(self, checkpoint: "Checkpoint") -> "Fit":
        """The recipe for that checkpoint."""
        from probe.experiments.dictionaries.job import default_fit

        given = {"n_latents": self.latents, "k": self.k, "steps": self.steps, "batch": self.rows, "held": self.held}
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        chosen |= {"activation": self.activation, "seed": (self.dictionary_seed,)}
        return replace(default_fit(checkpoint), **chosen)
