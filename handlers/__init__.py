"""The HTTP edge: tokens, bodies and ids are checked here, once; behind it there are only known things."""
