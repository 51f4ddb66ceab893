"""What the agent asks of whatever runs apps: the contract, and its drivers."""
