from icl_vectors.errors import IclVectorsError, RunError, not_finite, unknown_name


def test_an_unknown_name_lists_the_known_ones_with_the_nearest_first() -> None:
    assert issubclass(RunError, IclVectorsError)
    for asked, known, told in (
        ("appl", ["pear", "apple", "maple", "fig"],
         "Did you mean apple or maple? Known: apple, maple, fig, pear."),
        ("xyz", {"fig", "apple"}, "Known: apple, fig."),
        ("APPLE", ["Apple", "fig"], "Did you mean Apple? Known: Apple, fig."),
    ):  # fmt: skip
        assert str(unknown_name("fruit", asked, known)) == f"unknown fruit {asked!r}. {told}"


def test_what_is_not_finite_is_named_with_its_dtype_and_what_may_mend_it() -> None:
    error = not_finite("the states of block 3", "float16", "cuda:0")
    assert str(error).startswith("the states of block 3 hold NaN or infinity in float16 on cuda:0")
    assert str(error).endswith("use --dtype float32 or bfloat16.")
    assert str(not_finite("x", "bfloat16", "cpu")).endswith("use --dtype float32.")
    assert str(not_finite("x", "float32", "cpu")).endswith("the checkpoint may be damaged.")
