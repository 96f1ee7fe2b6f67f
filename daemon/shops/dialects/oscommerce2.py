"""osCommerce 2.2 and 2.3."""

from daemon.shops.dialects.dialect import Dialect

DIALECT = Dialect(
    name="oscommerce2",
    title="osCommerce 2.3",
    baskets="day",
    clock="server",
    options="braces",
    order_values="base",
    images="images/",
    product_page="product_info.php?products_id={id}",
    cart_page="shopping_cart.php",
    extra={"customers": ("customers_telephone",)},
)
