from __future__ import annotations

import re
from pathlib import Path

import settings

PAGE = Path(settings.__file__).with_name("docs") / "configuration.md"


def test_every_setting_is_documented_and_nothing_else() -> None:
    documented = re.findall(r"^\| `([A-Z_]+)` \|", PAGE.read_text(), re.MULTILINE)
    read = [str(field.validation_alias) for field in settings.Settings.model_fields.values()]
    assert sorted(documented) == sorted(read)
