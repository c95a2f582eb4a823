"""The service: app wires it up, rpc speaks gRPC, runtime does the work."""
