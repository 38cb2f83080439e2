"""The page: its parts, and which of them asks for what. Gradio draws and serves it."""

from collections.abc import Callable, Sequence
from functools import wraps
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from threading import Event
from typing import Any

import anyio._backends._asyncio  # noqa: F401 (before nnsight: it gives each class a `save`)
import gradio as gr

import icl_vectors as icl
from icl_vectors.errors import IclVectorsError
from icl_vectors.explore import bench, show
from icl_vectors.explore.bench import ALONE, USES, Asked, Bench, Found
from icl_vectors.explore.show import PARTS
from icl_vectors.prompts.template import DEFAULT_TEMPLATE
from icl_vectors.tasks.task import known_tasks

STYLE = (Path(__file__).parent / "page.css").read_text("utf-8")
PRESS = """element.addEventListener('click', (event) => {
  const cell = event.target.closest('[data-at]');
  if (cell) trigger('click', {at: cell.dataset.at});
});"""
INTRODUCTION = (
    "# See a task vector work\n"
    "θ is the state at the last arrow of a prompt: demonstrations, then a dummy query. Here it is "
    "injected into each query **without** demonstrations, at every block in turn."
)
SHOTS, DUMMIES, SEED = 5, 2, 41
SESSIONS = 100  # windows whose last results are kept
EXAMPLE = Bench(
    tuple({"France": "Paris", "Japan": "Tokyo", "Egypt": "Cairo", "Italy": "Rome"}.items())
    + (("Peru", "Lima"),),
    ("Kenya", "Cuba"),
)
QUERIES = "Spain\nGermany\nGreece"
HIDDEN: Any = {"show_progress": "hidden", "api_visibility": "private"}
SHOWN: Any = {"api_visibility": "private"}


class Page:
    """The page over the models that were opened; its windows share them and take turns."""

    def __init__(self, reference: str, opener: Callable[[str], icl.Model], files: Path) -> None:
        self.reference, self.opener, self.files = reference, opener, files
        self.models: dict[str, icl.Model] = {}
        self.number = count(1)  # of the answers
        with gr.Blocks(title="icl_vectors", analytics_enabled=False) as self.blocks:
            gr.Markdown(INTRODUCTION)
            with gr.Row():
                with gr.Column(min_width=320):
                    self.a = _BenchParts("A", EXAMPLE)
                with gr.Column(min_width=320):
                    self._lay_out_the_rest()
            self._lay_out_what_is_found()
            self._connect()

    def _lay_out_the_rest(self) -> None:
        self.queries = gr.Textbox(QUERIES, label="Queries, one a line", lines=3, elem_id="queries")
        self.prompt = gr.HTML(PARTS.opening(self.reference), elem_id="prompt")
        self.go = gr.Button("Answers by block", variant="primary", elem_id="go")
        self.complaint = gr.HTML(elem_id="complaint")
        with gr.Accordion("Template, model and injection", open=False, elem_id="how"):
            self.template = gr.Textbox(DEFAULT_TEMPLATE, label="Template", elem_id="template")
            self.model_name = gr.Textbox(self.reference, label="Model", elem_id="model")
            self.mode = gr.Radio(["replace", "add"], value="replace", label="θ at the arrow")
            self.scale = gr.Number(1.0, label="θ is multiplied by")
            self.layers = gr.Textbox("all", label="Blocks: all, A:B or I,J,…", elem_id="layers")
            label = "Whole answers with θ at several blocks at once, such as 9,10"
            self.together = gr.Textbox("", label=label, elem_id="together")
        with gr.Accordion("Bench B: a conflict, a difference, a mean", open=False, elem_id="other"):
            self.use = gr.Radio(list(USES), value=ALONE, label="What is injected", elem_id="use")
            self.b = _BenchParts("B", Bench((), ()))

    def _lay_out_what_is_found(self) -> None:
        self.table = gr.HTML(PARTS.hint(), elem_id="table", js_on_load=PRESS)
        self.details = gr.HTML(elem_id="details")
        self.cosines = gr.HTML(elem_id="cosines")
        with gr.Accordion("θ in words", open=False, elem_id="in-words"):
            self.words = gr.HTML(elem_id="words")
        with gr.Accordion("Take it along", open=False, elem_id="take"):
            with gr.Row():
                self.saves = [
                    gr.DownloadButton(f"{what} ({end})", interactive=False, elem_id=f"save-{end}")
                    for what, end in (("θ", "safetensors"), ("Table", "csv"), ("Figure", "svg"))
                ]
            self.code = gr.Code(language="python", label="This, in Python", elem_id="code")
        self.found = gr.State(None)

    def _connect(self) -> None:
        asked = [*self.a.typed, *self.b.typed, self.use, self.queries, self.template]
        asked += [self.mode, self.scale, self.layers, self.together]
        shown = [self.table, self.details, self.cosines, self.code, self.found]
        for parts, queries in ((self.a, [self.queries]), (self.b, [])):
            drawn = [*parts.typed, *queries, self.complaint]
            draw = self._guarded(self._draw, len(drawn))
            parts.task.input(draw, [parts.task, parts.seed], drawn, **HIDDEN)
            parts.seed.input(draw, [parts.task, parts.seed], drawn, **HIDDEN)
            parts.file.upload(draw, [parts.file, parts.seed], drawn, **HIDDEN)
        of_prompt: list[Any] = [*self.a.typed, self.queries, self.template, self.model_name]
        changed = [self.blocks.load, *(one.change for one in of_prompt)]
        latest: Any = {"trigger_mode": "always_last", **HIDDEN}
        gr.on(changed, self._prompt, of_prompt, self.prompt, **latest)
        run = self._guarded(self._run, 6, otherwise=[PARTS.hint(), "", "", "", None])
        rest, press = self._guarded(self._rest, 5, clears=False), self._guarded(self._press, 2)
        done = self.go.click(run, [self.model_name, *asked], [*shown, self.complaint], **SHOWN)
        of_found = [self.model_name, self.found]
        done.success(rest, of_found, [self.words, *self.saves, self.complaint], **SHOWN)
        self.table.click(press, of_found, [self.details, self.complaint], **SHOWN)

    def _guarded(
        self,
        function: Callable[..., Sequence[Any] | None],
        outputs: int,
        otherwise: Sequence[Any] | None = None,
        clears: bool = True,
    ) -> Callable[..., Any]:
        """A handler whose last output says in one line what is wrong; None changes nothing.

        Args:
            otherwise: its other outputs then; None leaves the page as it is.
            clears: takes what was said before away; not where another run may have begun.
        """
        left: list[Any] = list(otherwise or [gr.skip()] * (outputs - 1))

        @wraps(function)
        def handle(*typed: Any) -> list[Any]:
            try:
                found = function(*typed)
            except IclVectorsError as error:
                return [*left, PARTS.complaint(str(error), next(self.number))]
            if found is None:
                return [gr.skip()] * outputs
            said = PARTS.complaint("", next(self.number)) if clears else gr.skip()
            return [*found[: outputs - 1], said]

        return handle

    def _model(self, name: str) -> icl.Model:
        name = name.strip() or self.reference
        if name not in self.models:
            self.models[name] = self.opener(name)
        return self.models[name]

    def _draw(self, source: Any, seed: float | None) -> list[Any] | None:
        if not source:
            return None
        task = (icl.load_task if source in known_tasks() else icl.Task.from_file)(source)
        drawn, queries = bench.draw(task, SHOTS, DUMMIES, int(seed or 0))
        return [[list(pair) for pair in drawn.pairs], "\n".join(drawn.dummies), "\n".join(queries)]

    def _prompt(self, rows: Any, dummies: str, queries: str, template: str, name: str) -> str:
        typed = Bench.of(rows, dummies), bench.lines(queries), template
        try:
            tokens = bench.tokens_of(self._model(name), *typed)
        except IclVectorsError as error:
            return str(PARTS.complaint(str(error)))
        return str(PARTS.prompt(tokens, name.strip() or self.reference))

    def _run(self, name: str, *typed: Any) -> list[Any]:
        rows_a, dummies_a, rows_b, dummies_b, use, queries, template, mode, scale, *blocks = typed
        asked = Asked(
            a=Bench.of(rows_a, dummies_a),
            b=Bench.of(rows_b, dummies_b),
            use=use,
            queries=tuple(dict.fromkeys(bench.lines(queries))),
            template=template or DEFAULT_TEMPLATE,
            mode=mode,
            scale=1.0 if scale is None else float(scale),
            layers=blocks[0].strip() or "all",
            together=blocks[1].strip(),
        )
        found = bench.run(self._model(name), asked)
        code = show.code(asked, name.strip() or self.reference)
        return [show.table(found), "", PARTS.cosines(found.cosines), code, found]

    def _rest(self, name: str, found: Found | None) -> list[Any] | None:
        if found is None:
            return None
        folder = Path(mkdtemp(dir=self.files))
        theta, table, figure = (folder / f"theta.{end}" for end in ("safetensors", "csv", "svg"))
        found.theta.save(theta)
        found.frame.drop(columns="top").to_csv(table, index=False)
        figure.write_text(show.figure(found), "utf-8")
        saved = [gr.DownloadButton(value=path, interactive=True) for path in (theta, table, figure)]
        return [show.words(bench.words(self._model(name), found)), *saved]

    def _press(self, name: str, found: Found | None, event: gr.EventData) -> list[str] | None:
        if found is None:
            return None
        number, layer = map(int, str(event.at).split(":"))
        query = found.asked.queries[number]
        top = found.frame.set_index(["query", "layer"])["top"][query, layer]
        whole = bench.answer(self._model(name), found, query, layer)
        return [PARTS.details(query, layer, top, whole)]


class _BenchParts:
    """The components of one bench."""

    def __init__(self, name: str, first: Bench) -> None:
        with gr.Row():
            self.task = gr.Dropdown(
                ["", *known_tasks()], value="", label=f"{name}: draw from a task", min_width=140
            )
            self.seed = gr.Number(SEED, label="Seed", precision=0, min_width=70)
            self.file = gr.UploadButton("A file of your own", size="sm", min_width=90)
        self.table = gr.Dataframe(
            [list(pair) for pair in first.pairs] or [["", ""]] * SHOTS,
            headers=["input", "output"],
            label=f"Demonstrations {name}",
            datatype="str",
            type="array",
            interactive=True,
            elem_id=f"demonstrations-{name.lower()}",
        )
        self.dummies = gr.Textbox(
            "\n".join(first.dummies),
            label="Dummy queries, one a line (none: the last two demonstrations are held out)",
            lines=2,
            elem_id=f"dummies-{name.lower()}",
        )
        self.typed = [self.table, self.dummies]


def serve(
    reference: str,
    opener: Callable[[str], icl.Model],
    *,
    port: int | None,
    host: str,
    browser: bool,
    started: Callable[[str], None],
) -> None:
    """Serve the page until an interruption.

    Args:
        opener: opens the model that a reference names.
        port: None takes the first free one from 7860 on.
        started: called with the page's address.
    """
    with TemporaryDirectory(prefix="icl_vectors_") as folder:
        page = Page(reference, opener, Path(folder)).blocks
        try:
            _, address, _ = page.launch(
                server_name=host,
                server_port=port,
                inbrowser=browser,
                quiet=True,
                share=False,
                prevent_thread_lock=True,
                footer_links=[],
                css=STYLE,
                theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
                allowed_paths=[folder],
                ssr_mode=False,
                enable_monitoring=False,
                state_session_capacity=SESSIONS,
            )
        except OSError as error:
            raise IclVectorsError(
                f"--port {port}: expected a port that is free, found that it is not ({error}); "
                "give another, or none."
            ) from error
        started(address)
        try:
            Event().wait()
        finally:
            page.close(verbose=False)
