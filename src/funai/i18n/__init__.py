"""Messages for people, in Chinese and English: one catalogue that the API, the command line and `funai up` speak from."""
