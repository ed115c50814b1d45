"""What a model is: card, weights, network, graph, import, export."""
