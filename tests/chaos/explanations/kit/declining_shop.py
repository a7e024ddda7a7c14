"""The shop, with a policy: whoever is refused hears why."""

from dataclasses import replace

import shop
from feature_store import ExplainWhen
from shop import ItemOrders, UserOrders, item, orders, user, will_return

__all__ = ["ItemOrders", "UserOrders", "item", "orders", "returns", "user", "will_return"]

returns = replace(shop.returns, explain=ExplainWhen(below=0.5))
