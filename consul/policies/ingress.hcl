# The API gateway: is the service `ingress`, reads the services that it routes to and the mesh's settings.
mesh = "read"
node_prefix "" { policy = "read" }
service_prefix "" { policy = "read" }
service "ingress" { policy = "write" }
