from importlib.util import find_spec

import huggingface_hub.constants
import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.models.load import load_model

WRONG = [
    ("NO_PROXY", "[::1", "mend or unset that variable"),
    ("HTTPS_PROXY", "htp://x", "mend or unset that variable"),
]
if find_spec("socksio") is None:
    WRONG.append(("ALL_PROXY", "socks5://me:secret@127.0.0.1:9", 'pip install "httpx[socks]"'))


@pytest.mark.parametrize(("variable", "value", "cure"), WRONG)
@pytest.mark.parametrize("remote", [False, "http://127.0.0.1:9"])
def test_a_proxy_that_can_not_be_used_is_named_with_its_cure(
    variable: str, value: str, cure: str, remote: bool | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("NDIF_API_KEY", "a key")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(IclVectorsError) as raised:
        load_model("lab/model", remote=remote)
    told = str(raised.value)
    assert f"found {variable}=" in told and cure in told
    assert "secret" not in told and "\n" not in told
