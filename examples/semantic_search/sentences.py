"""What the demo searches, and for what."""

from __future__ import annotations

__all__ = ["QUERIES", "SENTENCES"]

SENTENCES = [
    "The wardian case let ferns survive months at sea.",
    "Orchids prefer indirect light and humid air.",
    "Water the tomatoes early in the morning, not at noon.",
    "A gardener prunes roses in late winter.",
    "The train to the coast leaves every half hour.",
    "Our flight was cancelled because of heavy snow.",
    "She cycled across the Alps in nine days.",
    "The ferry crosses the strait twice a day.",
    "Knead the dough until it no longer sticks.",
    "A pinch of salt brings out the taste of chocolate.",
    "Simmer the soup for an hour over a low flame.",
    "Fresh basil loses its aroma when it is cooked.",
    "The central bank raised interest rates again.",
    "Shares fell after the company missed its forecast.",
    "He put his savings into government bonds.",
    "The striker scored twice in the final minutes.",
    "Rain stopped the tennis match in the second set.",
    "The orchestra tuned before the conductor arrived.",
    "Her first novel is set in a lighthouse.",
    "The telescope found water vapour on a distant planet.",
]

QUERIES = [
    "How do I take care of plants?",
    "Is my money safe if the markets go down?",
    "ways to travel over the sea",
]
