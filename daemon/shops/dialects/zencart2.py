"""Zen Cart 1.5 and 2."""

from daemon.shops.dialects.dialect import Dialect

DIALECT = Dialect(
    name="zencart2",
    title="Zen Cart 2",
    baskets="day",
    clock="php",
    options="md5",
    order_values="base",
    images="images/",
    product_page="index.php?main_page=product_info&products_id={id}",
    cart_page="index.php?main_page=shopping_cart",
    extra={
        "customers": ("customers_telephone", "customers_authorization", "customers_group_pricing"),
        "customers_basket_attributes": ("products_options_value_text",),
        "orders": ("language_code", "coupon_code"),
        "specials": ("specials_date_available",),
    },
    parts={
        "shut": "c.customers_authorization = 4",  # banned
        "group": "c.customers_group_pricing",
        "option_text": "b.products_options_value_text",
        "special_started": "s.specials_date_available <= :wall",
        "coupon": "o.coupon_code",
        "language_key": "o.language_code",
    },
    groups=True,
)
