"""NDIF's sandbox runner, with `task_classes` imported first."""

import runpy

import task_classes  # noqa: F401

runpy.run_module("ndif.services.ray.sandbox.runner", run_name="__main__", alter_sys=True)
