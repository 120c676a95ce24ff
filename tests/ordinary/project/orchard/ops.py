TOOLS = {}


def ripen(x):
    return x * 2
