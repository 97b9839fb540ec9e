"""Bad inputs, class by class; importing a module registers its classes. `strange` holds what they are composed of."""

from torture.inputs import arguments, files, manifests, models, outputs, rollouts, tables, templates, terminal, texts

__all__ = [
    "arguments",
    "files",
    "manifests",
    "models",
    "outputs",
    "rollouts",
    "tables",
    "templates",
    "terminal",
    "texts",
]
