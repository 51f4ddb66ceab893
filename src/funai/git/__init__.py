"""The built-in Git server: asyncssh in front of git's own upload-pack and receive-pack, with bare repositories on disk.

It holds no accounts: whether a key may read or write a repository is asked of the API for every operation.
"""
