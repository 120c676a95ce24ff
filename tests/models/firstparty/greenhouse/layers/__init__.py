from .growth import Growth

__all__ = ["Growth"]
