from icl_vectors.errors import IclVectorsError, RunError, unknown_name


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
