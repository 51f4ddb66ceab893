"""What each app used of its node, for an hour, a day and a week: kept by the agent, so that no other store is needed."""
