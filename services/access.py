from __future__ import annotations

from store.keys import Access as Access
from store.keys import Scope as Scope
