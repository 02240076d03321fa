"""Mixed precision under a budget: formats of layers, so that answers keep (drop.py) or the result fits (size.py).

No labels are needed. Layers are measured one by one in each format that the target can store or run (options.py); a
knapsack over noise and cost orders the choices (frontier.py); the combined choice is compiled and measured again. What
was chosen is expressed as overrides of the recipe.
"""

from qir.budget.drop import check_drop, cost_of_few_bits, measured, within_drop
from qir.budget.size import byte_count, within_bytes

__all__ = ["byte_count", "check_drop", "cost_of_few_bits", "measured", "within_bytes", "within_drop"]
