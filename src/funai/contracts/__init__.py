"""The language the rooms speak: wire models, states, reasons, errors, names and rules.

Nothing here does I/O, and nothing here imports another part of ``funai``. A model in this package is the wire:
its field names are the JSON names of the contract (camelCase through an alias), unknown fields are ignored.
"""
