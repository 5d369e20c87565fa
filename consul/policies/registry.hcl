# What the registry announces for others, and nothing else: names of the mesh and of its infrastructure have no such prefix.
service_prefix "ext-" { policy = "write" }
