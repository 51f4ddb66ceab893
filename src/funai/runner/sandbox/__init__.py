"""The wall around a build: namespaces, a network without neighbours, and a store of its app alone.

``wall`` says what a build's process sees, as a value; ``launch`` is the program that enters it; ``net`` is its way out and to
the platform's registry; ``stores`` and ``bases`` are what it builds on; ``cell`` puts them together for one build.
"""
