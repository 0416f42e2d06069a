from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """What every word of the core is made of: immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
