"""A day at the practice, as a script: who is there, what they do, and what must hold at its end.

`cast`: six psychologists, thirty clients, an administrator, and their phones; `phone`: what one hears;
`bookings`, `talks` and `turns`: the scenes; `record`: what PostgreSQL, Redis and the folder of files say in
the end; `rules`: what must hold of it; `sightings`: what must have been heard.
"""

import pytest

# Scenes are tests: an assertion that fails is to say what it saw.
for _name in ("bookings", "cast", "phone", "rules", "sightings", "talks", "turns"):
    pytest.register_assert_rewrite(f"{__name__}.{_name}")
