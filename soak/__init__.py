"""A soak: many clients on few servers for minutes, compared with `tests.model`; `make soak`, `python -m soak -h`."""
