"""Help texts as the terminal can show them."""

import sys
from typing import Any

from typer.core import TyperCommand, TyperGroup

from icl_vectors.cli.terminal import fitted


class HelpCommand(TyperCommand):
    def get_help(self, ctx: Any) -> str:
        return fitted(super().get_help(ctx), sys.stdout)


class HelpGroup(TyperGroup):
    def get_help(self, ctx: Any) -> str:
        return fitted(super().get_help(ctx), sys.stdout)
