import jaxtyping
import pytest


@pytest.fixture
def as_a_user():
    """Without executed annotations, which would refuse bad shapes before `lib` does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
