"""A library of policies as it lies on disk: modules, tests, default data, and a user's data over it.

<folder>/lib/**.rego                           shared rules and the entrypoint; ours when the folder has none
<folder>/data/<member>.yaml                    shared data: data.holdpoint.config.<member>
<folder>/<family>/<name>/**.rego               one policy, package holdpoint.policies.<family>.<name>
<folder>/<family>/<name>/data.yaml             its settings: data.holdpoint.config.policies["<family>.<name>"]
<folder>/library.yaml                          include_shipped: true, or ids; for a folder that adds to ours
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from extproc import resources
from extproc.adapters.opa import data
from extproc.adapters.opa.refused import PolicyRefused, Problem
from extproc.domain.json import JSON

MANIFEST = "library.yaml"
_NOT_FAMILIES = frozenset({"lib", "data", "schemas"})


@dataclass(frozen=True, slots=True)
class Module:
    """One Rego file: where it will be in the bundle (posix, relative), where it came from, and its bytes."""

    place: str
    source: Path
    text: bytes

    @property
    def is_test(self) -> bool:
        """Tests are run before a bundle is built and stay out of it."""
        return self.place.endswith("_test.rego")


@dataclass(frozen=True, slots=True)
class Library:
    """Everything that goes into a bundle, before it was checked. `defaults` and `config` have the shape of
    data.holdpoint.config; the second has the user's data in it."""

    modules: tuple[Module, ...]
    defaults: dict[str, JSON]
    config: dict[str, JSON]

    def shown(self, place: str) -> str:
        """A path in the bundle as its owner knows it."""
        place = place.removeprefix("./")
        return next((str(m.source) for m in self.modules if m.place == place), place)


def load(folder: Path | None = None, user_data: Path | None = None) -> Library:
    """Read a library from a folder (None: the shipped one), with the user's data over its own.
    Raises PolicyRefused."""
    shipped = resources.policies()
    root = shipped if folder is None else folder
    if not root.is_dir():
        raise PolicyRefused([Problem(str(root), 0, "is not a folder of policies")])
    modules, defaults = _policies(root, _families(root))
    if root.resolve() != shipped.resolve():
        _include(root, shipped, modules, defaults)
    lib = root if (root / "lib").is_dir() else shipped
    modules |= {m.place: m for m in _modules(lib, lib / "lib")}
    config: dict[str, JSON] = {}
    for source in dict.fromkeys((shipped, root)):
        for file in data.files(source / "data") if (source / "data").is_dir() else []:
            config[file.stem] = data.read(file)
    config["policies"] = dict(sorted(defaults.items()))
    ordered = tuple(modules[place] for place in sorted(modules))
    return Library(ordered, config, data.overlay(config, user_data))


def _include(root: Path, shipped: Path, modules: dict[str, Module], defaults: dict[str, dict[str, JSON]]) -> None:
    manifest = root / MANIFEST
    wanted = data.read(manifest).get("include_shipped", False) if manifest.exists() else False
    known = {_id(shipped, f): f for f in _families(shipped)}
    ids = [] if wanted is False else list(known) if wanted is True else wanted
    if not isinstance(ids, list) or not all(i in known for i in ids):
        message = f"include_shipped: expected true, false or a list of: {', '.join(sorted(known))}"
        raise PolicyRefused([Problem(str(manifest), 0, message)])
    both = sorted(set(map(str, ids)) & set(defaults))
    if both:
        message = f"include_shipped: {', '.join(both)} is in this folder too; rename one or include others only"
        raise PolicyRefused([Problem(str(manifest), 0, message)])
    more, more_defaults = _policies(shipped, [known[str(i)] for i in ids])
    modules |= more
    defaults |= more_defaults


def _policies(root: Path, folders: list[Path]) -> tuple[dict[str, Module], dict[str, dict[str, JSON]]]:
    modules: dict[str, Module] = {}
    defaults: dict[str, dict[str, JSON]] = {}
    for folder in folders:
        modules |= {m.place: m for m in _modules(root, folder)}
        own = folder / "data.yaml"
        settings = data.read(own) if own.exists() else {}
        taken = [name for name in data.COMMON if name in settings]
        if taken:
            message = f"{taken[0]}: METADATA says this of a policy, and the user's data may overrule it"
            raise PolicyRefused([Problem(str(own), 0, message)])
        defaults[_id(root, folder)] = settings
    return modules, defaults


def _families(root: Path) -> list[Path]:
    """The folders <family>/<name> of policies."""
    return sorted(
        policy
        for family in root.iterdir()
        if family.is_dir() and family.name not in _NOT_FAMILIES and family.name[0] != "."
        for policy in family.iterdir()
        if policy.is_dir() and policy.name[0] != "."
    )


def _id(root: Path, folder: Path) -> str:
    return ".".join(folder.relative_to(root).parts)


def _modules(root: Path, folder: Path) -> Iterator[Module]:
    for file in sorted(folder.rglob("*.rego")):
        try:
            yield Module(file.relative_to(root).as_posix(), file, file.read_bytes())
        except OSError as error:
            raise PolicyRefused([Problem(str(file), 0, f"can't be read ({error.strerror})")]) from None
