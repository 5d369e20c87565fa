# Registers where each Envoy's metrics are. Every proxy has its own service's token for everything else.
service "envoy" { policy = "write" }
