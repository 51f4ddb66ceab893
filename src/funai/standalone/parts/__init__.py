"""What the one-machine set-up needs from the machine: packages, a container engine that works, the base image.

``packages`` is importable without the virtualenv (it decides what must be installed before one can be made);
the rest uses the project's own plumbing. Run all of it with ``python -m funai.standalone.parts.setup``.
"""
