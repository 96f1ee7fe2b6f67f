"""xt:Commerce 3 and xtcModified 1."""

from daemon.shops.dialects.dialect import Dialect

DIALECT = Dialect(
    name="xtcommerce3",
    title="xt:Commerce 3",
    baskets="day",
    clock="server",
    options="braces",
    order_values="order",
    images="images/product_images/info_images/",
    product_page="product_info.php?products_id={id}",
    cart_page="shopping_cart.php",
    extra={
        "customers": ("customers_telephone", "customers_status", "account_type"),
        "customers_basket_attributes": ("products_options_value_text",),
        "newsletter_recipients": ("customers_email_address", "mail_status", "date_added"),
        "orders": ("language",),
    },
    parts={
        "guest": "c.account_type = 1",
        "shut": "c.customers_status = 0",  # administrators
        "group": "c.customers_status",
        "option_text": "b.products_options_value_text",
        "language_key": "o.language",
        "signed_from": "''",
        "confirmed": "NULL",
        "confirmed_from": "''",
        "by_admin": "0",
    },
    recipients="status",
    groups=True,
    guests=True,
)
