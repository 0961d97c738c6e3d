"""The local Ably endpoint under load: delivery to thousands of subscribers, and its memory."""
