"""Position files of other programs are read in mm with the cylinder's axis along z, and refused when damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studio._checks import InputError
from studio.io import position_formats, read_positions
from studio.io.positions import along_z
from tests.reference_data import reference

SAMPLES = Path(__file__).parent / "samples"


def test_wcsim_geofile_in_cm_relative_to_its_offset():
    table = read_positions(SAMPLES / "geofile.txt")
    assert (table.format, table.count) == ("wcsim_geofile", 6)
    np.testing.assert_array_equal(table.positions[1], [0, 1990, 500])  # z = 60 cm less the offset of 10 cm
    np.testing.assert_array_equal(table.positions[4], [500, -250, 1510])
    assert table.directions is not None
    np.testing.assert_array_equal(table.directions[4], [0, 0, -1])
    assert table.cylinder == (2000.0, 3000.0)
    assert table.sensor_radius == 127.0
    assert table.lines.tolist() == [3, 4, 5, 6, 7, 8]


def test_wcsim_module_table_in_mm_without_unused_modules():
    table = read_positions(SAMPLES / "mpmt_table.txt")
    assert (table.format, table.count) == ("wcsim_mpmt_table", 6)
    assert table.types.tolist() == [1, 1, 2, 1, 1, 1]
    np.testing.assert_array_equal(table.positions[3], [300, -200, 1000])
    assert table.lines.tolist() == [7, 8, 9, 11, 12, 13]


def test_juno_csv_in_mm():
    table = read_positions(SAMPLES / "juno.csv")
    assert (table.format, table.count) == ("juno_csv", 4)
    np.testing.assert_array_equal(table.positions[3], [-1800, 0, -2400])
    assert table.directions is None


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_turning_an_axis_to_z_is_a_proper_rotation(axis):
    turned = along_z(np.eye(3), axis)
    np.testing.assert_array_equal(turned["xyz".index(axis)], [0, 0, 1])
    assert np.linalg.det(turned) == 1


# Figures of the published files, counted once by hand from their rows.


def test_super_kamiokande_file():
    table = read_positions(reference("sensors/geofile_SuperK.txt"))
    assert table.count == 11_020
    rho = np.hypot(table.positions[:, 0], table.positions[:, 1])
    caps = np.abs(table.positions[:, 2]) > 18_000
    assert caps.sum() == 2 * 1685
    assert 16_930 < rho[~caps].min() <= rho[~caps].max() < 16_980
    assert np.allclose(np.abs(table.positions[caps, 2]), 18_189.2, atol=0.1)
    assert table.sensor_radius == 254.0


@pytest.mark.parametrize(
    ("name", "count", "radius", "half_height"),
    [("mPMT_Position_IWCD_OptionA", 368, 3531.27, 4000.0), ("mPMT_Position_WCTE", 106, 1596.268, 1530.2375)],
)
def test_module_tables_of_iwcd_and_wcte_have_z_as_axis(name, count, radius, half_height):
    table = read_positions(reference(f"sensors/{name}.txt"))
    assert table.count == count
    on_barrel = np.abs(table.positions[:, 2]) < half_height
    assert np.allclose(np.hypot(*table.positions[on_barrel, :2].T), radius, atol=0.01)
    assert np.allclose(np.abs(table.positions[~on_barrel, 2]), half_height)
    assert table.directions is not None
    facing = np.einsum("ni,ni->n", table.directions, table.positions)
    assert (facing < 0).all(), "every module looks inwards"


def test_juno_file():
    table = read_positions(reference("sensors/PMTPos_CD_LPMT_ArseniiGav_J21_SYSU.csv"))
    assert table.count == 17_612
    distance = np.linalg.norm(table.positions, axis=-1)
    assert 19_387 < distance.min() < distance.max() < 19_435


def _damaged(name: str, change) -> bytes:
    rows = (SAMPLES / name).read_text().splitlines()
    return ("\n".join(change(rows)) + "\n").encode()


DAMAGED = {
    "empty": (b"", None, "is empty"),
    "binary": (b"\x89HDF\r\n\x1a\n\0\0", 3, "is not a text file"),
    "not UTF-8": ("PMTID,x,y,z\n1,µ\n".encode("latin-1"), 2, "is not a text file"),
    "foreign": (b"hello\nworld\n", 1, "no position format"),
    "other numbers": (b"1 2 3\n4 5 6\n", 1, "no position format"),
    "geofile cut between rows": (_damaged("geofile.txt", lambda r: r[:-2]), 6, "4 tubes, the header says 6: truncated"),
    "geofile cut in a row": (_damaged("geofile.txt", lambda r: [*r[:-1], r[-1][:40]]), 8, "5 columns where 10 belong"),
    "geofile with a word": (
        _damaged("geofile.txt", lambda r: [*r[:4], r[4].replace("0.0", "x.0"), *r[5:]]),
        5,
        "numbers",
    ),
    "geofile too long": (_damaged("geofile.txt", lambda r: [*r, r[-1]]), 9, "longer than its header says"),
    "geofile location": (_damaged("geofile.txt", lambda r: [*r[:2], r[2][:-1] + "7", *r[3:]]), 3, "unknown location"),
    "geofile fraction of a tube": (
        _damaged("geofile.txt", lambda r: [r[0].replace(" 6 ", "6.5"), *r[1:]]),
        1,
        "number",
    ),
    "table not a number": (
        _damaged("mpmt_table.txt", lambda r: [*r[:6], r[6].replace("1510", "nan"), *r[7:]]),
        7,
        "finite",
    ),
    "table section": (_damaged("mpmt_table.txt", lambda r: [*r[:6], "1 1 9" + r[6][5:], *r[7:]]), 7, "unknown section"),
    "table cut in a row": (_damaged("mpmt_table.txt", lambda r: [*r[:-1], r[-1][:20]]), 13, "columns where 11 belong"),
    "table without rows": (_damaged("mpmt_table.txt", lambda r: r[:6]), None, "holds no sensor"),
    "juno cut in a row": (_damaged("juno.csv", lambda r: [*r[:-1], "3,-1800.0,0.0"]), 5, "3 columns where 7 belong"),
    "juno in other units": (_damaged("juno.csv", lambda r: [*r[:1], "0,0.0,0.0,3.0,3000.0,0.0,0.0"]), 2, "R differs"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused_with_file_line_and_remedy(name, tmp_path):
    content, line, words = DAMAGED[name]
    path = tmp_path / "positions.txt"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_positions(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: " if line else f"{path}: "), message
    assert words in message
    assert caught.value.remedy


def test_a_given_format_is_held_to(tmp_path):
    with pytest.raises(InputError, match="has no line '#DATASTART'"):
        read_positions(SAMPLES / "geofile.txt", "wcsim_mpmt_table")
    with pytest.raises(InputError, match="Did you mean 'juno_csv'"):
        read_positions(SAMPLES / "juno.csv", "juno")
    with pytest.raises(InputError, match="is a directory"):
        read_positions(tmp_path)
    with pytest.raises(InputError, match="no such position file"):
        read_positions(tmp_path / "absent.txt")
    assert position_formats() == ("wcsim_geofile", "wcsim_mpmt_table", "juno_csv")
