"""What an app runs and ran: releases to go back to, and which images are kept for it."""
