from typing import Annotated

from pydantic import Field

# The service says what is wrong with a longer one; this bounds what it looks at.
CallbackUrl = Annotated[str, Field(max_length=8192, examples=["https://hooks.example.com/perdure"])]
