"""What `conflict`, `cluster`, `vocabulary` and `reproduce` share: models, folders, drawing."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icl_vectors.cli.loading import ModelOptions, require_one_on_server
from icl_vectors.cli.run_folders import RunFolders
from icl_vectors.cli.sweep import draw
from icl_vectors.cli.terminal import show, show_json
from icl_vectors.run_folder import read_json


@dataclass(frozen=True)
class Experiment:
    """A command that runs on one or several models, each with a folder of its own."""

    command: str
    models: list[str]
    dtypes: list[str]
    opener: ModelOptions
    output: Path | None
    json: bool

    def run(
        self,
        run: Callable[..., Any],
        table: Callable[[Mapping[str, Any]], str],
        settings: Mapping[str, Any],
    ) -> list[Path]:
        """Run on every model and dtype, draw each folder, print a table; returns the folders."""
        from icl_vectors.cli.progress import Watcher

        require_one_on_server(self.opener.remote, self.dtypes)
        planned = RunFolders.plan(
            self.output, self.models, self.dtypes, self.command, self.opener.revision
        )
        folders, found = [], []
        for reference in planned.names:
            for dtype in self.dtypes:
                opened = self.opener.open(reference, dtype)
                folder = planned.of(reference, opened.dtype)
                with Watcher(self.opener.quiet) as watcher:
                    provenance = {"argv": sys.argv[1:]}
                    run(opened, output=folder, observer=watcher, provenance=provenance, **settings)
                folders.append(folder)
                found.append({**read_json(folder / "results.json"), "folder": str(folder)})
                if not self.json:
                    show(f"{table(found[-1])}\n\nThe run's folder: {folder}")
                draw([folder], self.opener.quiet)
        if self.json:
            show_json(found[0] if len(found) == 1 else found)
        return folders
