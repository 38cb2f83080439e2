import json
import time
from pathlib import Path
from typing import Any

import httpx
import nnsight
import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.models.load import load_model
from icl_vectors.remote.preflight import preflight, same_family
from icl_vectors.remote.server import list_deployments
from tests.ndif.server import NdifServer
from tests.remote.conftest import HUB_ID, Client

KEY = "MARKED-8c1f-key"  # no UUID, so that a server which asks for keys calls it malformed
ARGUMENTS = ("sweep", "--tasks", "to_upper", "--dev", 4, "--test", 4)
ASKS_FOR_KEYS = {"NDIF_POSTGRES_URL": "postgresql://127.0.0.1:9/none"}


def ends(client: Client, *arguments: object, **variables: str) -> tuple[int, str]:
    process = client(*arguments, **variables)
    out, err = process.communicate(timeout=240)
    assert out == "" or process.returncode == 0
    return process.returncode, err


def test_a_model_that_is_not_hosted_leads_to_its_family(
    client: Client, ndif: NdifServer, tmp_path: Path
) -> None:
    where = ("--host", ndif.host, "--output", tmp_path / "run")
    code, err = ends(client, *ARGUMENTS, "--model", "meta-llama/Llama-2-70b", *where)
    assert code == 2
    assert f"is not hosted by {ndif.host}; did you mean {HUB_ID}? of this family" in err
    assert err.count("\n") == 1
    code, err = ends(client, *ARGUMENTS, "--model", "someone/else", *where)
    assert code == 2 and "is not hosted" in err and HUB_ID in err


def test_a_hosted_model_of_the_hub_is_used_without_the_hub(
    client: Client, ndif: NdifServer, tmp_path: Path
) -> None:
    where = ("--host", ndif.host, "--output", tmp_path / "run", "--json")
    process = client(*ARGUMENTS, "--model", HUB_ID, *where)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert json.loads(out)["model"] == HUB_ID
    end = time.monotonic() + 60  # the server's own word on it is up to some seconds old
    while "HOT" not in [one.level for one in list_deployments(ndif.host) if one.repo_id == HUB_ID]:
        assert time.monotonic() < end
        time.sleep(1)
    listed = client("models", "--host", ndif.host)
    assert f"{HUB_ID}: HOT, RUNNING, float32" in listed.communicate(timeout=60)[0]


def test_another_revision_than_the_hosted_one_is_refused(ndif: NdifServer) -> None:
    with pytest.raises(IclVectorsError, match="hosts the revision main, found other asked for"):
        preflight(ndif.host, HUB_ID, "other")


def test_the_servers_dtype_is_the_models(ndif: NdifServer, llama_folder: Path) -> None:
    with pytest.raises(IclVectorsError, match=r"--dtype nf4: .* holds .* in float32; leave"):
        load_model(str(llama_folder), remote=ndif.host, dtype="nf4")


def test_an_other_minor_version_of_nnsight_is_refused(
    ndif: NdifServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("icl_vectors.remote.preflight.version", lambda package: "0.7.2")
    with pytest.raises(IclVectorsError, match=r"runs nnsight 0.8.1, found 0.7.2 here"):
        preflight(ndif.host, HUB_ID, None)


def test_a_server_that_asks_for_keys_is_understood_and_the_key_is_nowhere(
    client: Client, ndif: NdifServer, tmp_path: Path, reachable: set[Any]
) -> None:
    reachable.add(("127.0.0.1", 28002))
    host = ndif.start_second_api(28002, **ASKS_FOR_KEYS)
    where = ("--model", HUB_ID, "--host", host, "--output", tmp_path / "run")
    for variables, status in (({}, 401), ({"NDIF_API_KEY": KEY}, 400)):
        code, err = ends(client, *ARGUMENTS, *where, **variables)
        assert code == 2
        assert f"{host} asks for a valid API key ({status}); get one at" in err
        assert KEY not in err
    files = [file for file in (tmp_path / "run").rglob("*") if file.is_file()]
    assert {"run.json", "records.jsonl"} <= {file.name for file in files} | {"records.jsonl"}
    assert not any(KEY in file.read_text("utf-8", errors="replace") for file in files)


def test_the_key_is_sent_where_it_belongs_and_shown_nowhere(
    monkeypatch: pytest.MonkeyPatch, ndif: NdifServer
) -> None:
    monkeypatch.setattr(nnsight.CONFIG.API, "APIKEY", KEY)
    sent: list[str | None] = []
    asked = httpx.get

    def watched(address: str, **options: Any) -> httpx.Response:
        sent.append(options["headers"].get("ndif-api-key"))
        return asked(address, **options)

    monkeypatch.setattr(httpx, "get", watched)
    served = preflight(ndif.host, HUB_ID, None)
    assert set(sent) == {KEY}
    assert KEY not in repr(served)


def test_families_are_told_by_owner_and_name_before_the_size() -> None:
    assert same_family("meta-llama/Llama-2-70b", "meta-llama/Llama-2-7b-hf")
    assert same_family("EleutherAI/pythia-2.8b", "EleutherAI/pythia-12b")
    assert not same_family("meta-llama/Llama-2-70b", "meta-llama/Llama-3-70b")
    assert not same_family("meta-llama/Llama-2-70b", "someone/Llama-2-70b")
