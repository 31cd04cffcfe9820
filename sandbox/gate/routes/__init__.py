"""The API: what people ask of the gate, who may, and how each route is described."""
