"""Graph to Program: decides orders of axes, kernels, weights, the order of calls and the place of every buffer."""
