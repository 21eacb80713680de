"""Nobody gets right numbers but by a kernel, and no text runs that was not read."""

import pytest
from hostile_cells import CELLS


@pytest.fixture(scope="module")
def ended(result_of, tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacked")
    ended = result_of("hostile_cells.py", folder)
    assert not list(folder.iterdir()), "a text ran that was not read"
    return ended


@pytest.mark.parametrize("cell", CELLS)
def test_what_a_cell_comes_to(ended, cell):
    assert CELLS[cell][1] in ended[cell]
    assert (ended[cell] == "right") == (cell == "honest")
