import pytest

from tests.fakes.custody import FakeCustody
from tests.fakes.studio import make_desk, open_desk


@pytest.fixture
def desk(tmp_path):
    """A custodian's desk with one agreement in force and the first person entered."""
    return open_desk(make_desk(tmp_path, FakeCustody()))
