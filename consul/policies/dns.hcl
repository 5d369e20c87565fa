# What Consul DNS may answer. The anonymous token itself may do nothing at all.
node_prefix "" { policy = "read" }
service_prefix "" { policy = "read" }
