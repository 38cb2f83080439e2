from icl_vectors.errors import IclVectorsError, RunError, not_finite, unknown_name


def test_a_run_error_is_one_of_the_packages_errors() -> None:
    assert issubclass(RunError, IclVectorsError)


def test_an_unknown_name_lists_the_known_ones_with_the_nearest_first() -> None:
    error = unknown_name("fruit", "appl", ["pear", "apple", "maple", "fig"])
    assert str(error) == (
        "unknown fruit 'appl'. Did you mean apple or maple? Known: apple, maple, fig, pear."
    )


def test_a_name_that_is_near_to_nothing_lists_all_of_them() -> None:
    assert str(unknown_name("fruit", "xyz", {"fig", "apple"})) == (
        "unknown fruit 'xyz'. Known: apple, fig."
    )


def test_case_plays_no_part() -> None:
    assert "Did you mean Apple?" in str(unknown_name("fruit", "APPLE", ["Apple", "fig"]))


def test_what_is_not_finite_is_named_with_its_dtype_and_what_may_mend_it() -> None:
    error = not_finite("the states of block 3", "float16", "cuda:0")
    assert str(error).startswith("the states of block 3 hold NaN or infinity in float16 on cuda:0")
    assert str(error).endswith("use --dtype float32 or bfloat16.")
    assert str(not_finite("x", "bfloat16", "cpu")).endswith("use --dtype float32.")
    assert str(not_finite("x", "float32", "cpu")).endswith("the checkpoint may be damaged.")
