# The agent's own token: registers its node, reads what runs on it.
node_prefix "" { policy = "write" }
service_prefix "" { policy = "read" }
