"""Files in each platform's own form, in a folder."""

import csv
from datetime import timedelta

import pytest

from channels.ads.base import Part, Reach
from channels.ads.files import FORMS, Config, Files
from channels.base import Misconfigured, Unclear

from .conftest import NOW, first_error


def group(client):
    return [client.normalise(Reach("a@example.org", "+491701234567")), client.normalise(Reach("b@example.org"))]


@pytest.mark.parametrize(("form", "heading"), [("meta", ["email", "phone"]), ("google", ["Email", "Phone"])])
async def test_file_is_what_the_platform_reads(tmp_path, form, heading):
    client = Files(Config(form, str(tmp_path / "new" / "folder"), "shoes"), lambda: NOW)
    await client.add(group(client), Part(255, 1))
    [file] = (tmp_path / "new" / "folder" / "shoes").iterdir()
    assert file.name == "20260302T090000.000000Z-ff-0001-add.csv"
    rows = list(csv.reader(file.read_text().splitlines()))
    assert rows[0] == heading
    assert [[len(cell) for cell in row] for row in rows[1:]] == [[64, 64], [64, 0]]
    assert "example.org" not in file.read_text()


async def test_files_sort_in_the_order_in_which_they_were_written(tmp_path):
    times = iter(NOW + timedelta(seconds=no) for no in range(3))
    client = Files(Config("meta", str(tmp_path), "shoes"), lambda: next(times))
    await client.add(group(client), Part(9))
    await client.remove(group(client), Part(8))
    await client.add(group(client), Part(7))
    names = sorted(file.name for file in (tmp_path / "shoes").iterdir())
    assert [name.rpartition("-")[2] for name in names] == ["add.csv", "remove.csv", "add.csv"]


async def test_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    client = Files(Config("meta", str(tmp_path / "file"), "shoes"), lambda: NOW)
    assert isinstance(await first_error(client.add(group(client), Part(1))), Misconfigured | Unclear)


async def test_store_that_is_out_of_reach_is_told_without_its_words(unused_tcp_port):
    words = {
        "endpoint": f"http://127.0.0.1:{unused_tcp_port}",
        "access_key_id": "canary-id",
        "secret_access_key": "canary-secret",
        "region": "eu-central-1",
    }
    client = Files(Config("google", "s3://bucket/audiences", "shoes", words), lambda: NOW)
    error = await first_error(client.add(group(client), Part(1)))
    assert isinstance(error, Misconfigured | Unclear)
    assert "canary" not in repr(error)
    assert "canary" not in repr(client.config)


def test_no_cell_can_be_taken_for_a_formula():
    text = FORMS["meta"].write([FORMS["meta"].keys(Reach('=cmd|"x"@example.org'))])
    assert not any(
        cell.startswith(("=", "+", "-", "@", "\t", "'")) for row in csv.reader(text.splitlines()) for cell in row
    )
