"""What apps have beside their code: variables, databases, use."""
