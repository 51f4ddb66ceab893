"""Reading a Dockerfile: one parser for ``funai check`` and for the job alike. Pure; the Runner does the I/O.

``syntax`` turns text into instructions, ``stages`` resolves them into a plan, ``rules`` judges the plan, ``emit`` writes it
anew as the one text that the engine gets.

``node`` writes the Dockerfile of a Node project that has none.
"""
