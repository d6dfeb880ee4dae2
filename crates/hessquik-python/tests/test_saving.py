"""`Network.save` replaces what this program wrote or read, and nothing else without saying so."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from common import network, points

import hessquik_rs as hq


@pytest.fixture
def silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def by_another_program(path):
    code = "import hessquik_rs as hq, sys; hq.Network(hq.single(2, 3), seed=1).save(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, path], check=True, timeout=300)


def test_own_files_are_replaced(tmp_path, silent):
    path = tmp_path / "net.safetensors"
    for seed in range(3):
        network(seed=seed).save(path)
        assert (hq.Network.load(path).flat_weights() == network(seed=seed).flat_weights()).all()
    network().save(str(path))


def test_models_of_others_are_replaced_with_a_warning(tmp_path):
    path = tmp_path / "net.safetensors"
    by_another_program(path)
    with pytest.warns(UserWarning, match="net.safetensors' held a model that this program neither saved nor loaded"):
        network().save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network(seed=1).save(path)  # by now it is one of ours
        by_another_program(path)
        network().save(path, overwrite=True)
        by_another_program(path)
        hq.Network.load(path)
        network().save(path)
    assert (hq.Network.load(path).flat_weights() == network().flat_weights()).all()


def files_of_users(folder):
    np.save(folder / "points.npy", points())
    (folder / "notes.txt").write_text("important")
    (folder / "empty").write_bytes(b"")
    (folder / "short").write_bytes(b"1234567")
    (folder / "weights.safetensors").write_bytes(len(b"{}").to_bytes(8, "little") + b"{}")
    (folder / "list.json").write_bytes((2).to_bytes(8, "little") + b"[]")
    return sorted(folder.iterdir())


def test_files_that_are_no_models_stay(tmp_path):
    for path in files_of_users(tmp_path):
        before = path.read_bytes()
        with pytest.raises(
            FileExistsError, match="is not a model file: save under another name, or pass overwrite=True"
        ):
            network().save(path)
        assert path.read_bytes() == before
        link = tmp_path / "link"
        link.symlink_to(path)
        with pytest.raises(FileExistsError, match="is not a model file"):
            network().save(link)
        assert path.read_bytes() == before and link.is_symlink()
        link.unlink()


def test_a_file_that_took_the_place_of_ours_stays(tmp_path):
    path = tmp_path / "net.safetensors"
    network().save(path)
    path.unlink()
    path.write_text("important")
    with pytest.raises(FileExistsError):
        network().save(path)
    assert path.read_text() == "important"
    network().save(path, overwrite=True)
    assert (hq.Network.load(path).flat_weights() == network().flat_weights()).all()


def test_devices_are_not_replaced(tmp_path):
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    for path in ("/dev/null", link):
        with pytest.raises(OSError):
            network().save(path)
        with open("/dev/null", "rb") as null:
            assert null.read() == b""
