"""The owner of routes: what ``/runtime/{appId}`` points at. HAProxy is the embedded default, Traefik the second driver."""
