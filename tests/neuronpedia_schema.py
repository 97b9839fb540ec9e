"""Neuronpedia's rows as it declares them, strictly: no other column, no other type. Read off its own sources.

Neuron, Activation, Source, SourceSet, SourceRelease, Model: apps/webapp/prisma/schema.prisma of hijohnnylin/neuronpedia
at 008d5040ab97abd5c44d92d190b30034ad7a6e97 (Float[] never null, Int 32 bits, required without a default; relations left
out). Vector: the yup schema of POST /api/vector/new in its web app (STEER_STRENGTH_MIN and MAX of lib/utils/steer).
What could not be had: a validator of theirs that runs without their database, so no file was imported by them.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AllowInfNan, BaseModel, ConfigDict, Field, StringConstraints, model_validator

Float = Annotated[float, AllowInfNan(False)]
Int = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Id = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9-_]+$", min_length=1, max_length=128)]
Visibility = Literal["PUBLIC", "UNLISTED", "PRIVATE"]


def _no_nul(text: str) -> str:
    assert "\0" not in text  # PostgreSQL's text holds none
    return text


def _is_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Text = Annotated[str, AfterValidator(_no_nul)]
Time = Annotated[str, AfterValidator(_is_time)]


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Neuron(Row):
    modelId: Id
    layer: Text
    index: Annotated[str, StringConstraints(pattern=r"^\d+$")]
    sourceSetName: Text | None = None
    creatorId: Text | None = None
    createdAt: Time
    maxActApprox: Float | None = 0.0
    hasVector: bool = False
    vector: list[Float] = []
    vectorLabel: Text | None = None
    vectorDefaultSteerStrength: Float | None = 10.0
    hookName: Text | None = None
    topkCosSimIndices: list[Int] = []
    topkCosSimValues: list[Float] = []
    neuron_alignment_indices: list[Int] = []
    neuron_alignment_values: list[Float] = []
    neuron_alignment_l1: list[Float] = []
    correlated_neurons_indices: list[Int] = []
    correlated_neurons_pearson: list[Float] = []
    correlated_neurons_l1: list[Float] = []
    correlated_features_indices: list[Int] = []
    correlated_features_pearson: list[Float] = []
    correlated_features_l1: list[Float] = []
    neg_str: list[Text] = []
    neg_values: list[Float] = []
    pos_str: list[Text] = []
    pos_values: list[Float] = []
    frac_nonzero: Float = 0.0
    freq_hist_data_bar_heights: list[Float] = []
    freq_hist_data_bar_values: list[Float] = []
    logits_hist_data_bar_heights: list[Float] = []
    logits_hist_data_bar_values: list[Float] = []
    decoder_weights_dist: list[Float] = []
    umap_cluster: Int | None = None
    umap_log_feature_sparsity: Float | None = None
    umap_x: Float | None = None
    umap_y: Float | None = None

    @model_validator(mode="after")
    def _columns_are_parallel(self) -> "Neuron":
        for name in ("freq_hist_data_bar", "logits_hist_data_bar"):
            assert len(getattr(self, f"{name}_heights")) == len(getattr(self, f"{name}_values"))
        assert len(self.pos_str) == len(self.pos_values) and len(self.neg_str) == len(self.neg_values)
        assert self.hasVector == bool(self.vector)
        return self


class Activation(Row):
    id: Text
    tokens: list[Text]
    dataIndex: Text | None = None
    index: Annotated[str, StringConstraints(pattern=r"^\d+$")]
    layer: Text
    modelId: Id
    dataSource: Text | None = None
    maxValue: Float
    maxValueTokenIndex: Int
    minValue: Float
    values: list[Float]
    dfaValues: list[Float] = []
    dfaTargetIndex: Int | None = None
    dfaMaxValue: Float | None = None
    zQIndices: list[Int] = []
    zKIndices: list[Int] = []
    zValues: list[Float] = []
    creatorId: Text
    createdAt: Time
    lossValues: list[Float] = []
    logitContributions: Text | None = None
    binMin: Float | None = None
    binMax: Float | None = None
    binContains: Float | None = None
    qualifyingTokenIndex: Int | None = None

    @model_validator(mode="after")
    def _a_value_a_token(self) -> "Activation":
        assert len(self.tokens) == len(self.values) > 0
        assert self.values[self.maxValueTokenIndex] == self.maxValue == max(self.values)
        assert self.minValue == min(self.values)
        return self


class Source(Row):
    id: Text
    modelId: Id
    hasDashboards: bool = True
    inferenceEnabled: bool = False
    saelensConfig: Any = None
    saelensRelease: Text | None = None
    saelensSaeId: Text | None = None
    hfRepoId: Text | None = None
    hfFolderId: Text | None = None
    visibility: Visibility = "PRIVATE"
    defaultOfModelId: Text | None = None
    setName: Text
    creatorId: Text
    hasUmap: bool = False
    hasUmapLogSparsity: bool = False
    hasUmapClusters: bool = False
    num_prompts: Int | None = None
    num_tokens_in_prompt: Int | None = None
    dataset: Text | None = None
    notes: Text | None = None
    cosSimMatchModelId: Text | None = None
    cosSimMatchSourceId: Text | None = None
    createdAt: Time


class SourceSet(Row):
    modelId: Id
    name: Text
    hasDashboards: bool = True
    allowInferenceSearch: bool = True
    visibility: Visibility = "PRIVATE"
    description: Text
    type: Text = ""
    creatorName: Text
    urls: list[Text] = []
    creatorEmail: Text | None = None
    creatorId: Text
    releaseName: Text | None = None
    createdAt: Time


class SourceRelease(Row):
    name: Text
    visibility: Visibility = "PRIVATE"
    isNewUi: bool = False
    featured: bool = False
    description: Text
    descriptionShort: Text | None = None
    urls: list[Text] = []
    creatorEmail: Text | None = None
    creatorName: Text
    creatorNameShort: Text | None = None
    creatorId: Text
    defaultSourceSetName: Text | None = None
    defaultSourceId: Text | None = None
    defaultUmapSourceIds: list[Text] = []
    createdAt: Time


class Model(Row):
    id: Id
    displayNameShort: Text = ""
    displayName: Text = ""
    creatorId: Text
    tlensId: Text | None = None
    dimension: Int | None = None
    thinking: bool = False
    visibility: Visibility = "PRIVATE"
    inferenceEnabled: bool = False
    instruct: bool = False
    layers: Annotated[Int, Field(ge=0)]
    neuronsPerLayer: Annotated[Int, Field(ge=0)]
    createdAt: Time
    owner: Annotated[str, StringConstraints(min_length=1)]
    updatedAt: Time
    website: Text | None = None


class Vector(Row):
    modelId: Annotated[str, StringConstraints(min_length=1)]
    layerNumber: Annotated[Int, Field(ge=0)]
    hookType: Literal["hook_resid_pre"]
    vector: Annotated[list[Float], Field(max_length=24_576)]
    vectorDefaultSteerStrength: Annotated[Float, Field(ge=-300, le=300)]
    vectorLabel: Annotated[str, StringConstraints(min_length=1)]
