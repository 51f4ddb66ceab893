"""A build's network: ``namespace`` makes one that holds nothing, ``relay`` leads out as far as ``fence`` allows, and
``registry_proxy`` leads to the app's own repository and adds the login.
"""
