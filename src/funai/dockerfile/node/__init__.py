"""The platform's standard image for Node projects: facts of a repository → a plan → a Dockerfile, and its findings.

``files`` reads what a repository has, ``plan`` decides, ``render`` writes the Dockerfile, ``findings`` says what a person
should know. The Runner, ``funai init`` and ``funai check`` all go through :func:`funai.dockerfile.node.plan.make_plan`.
"""
