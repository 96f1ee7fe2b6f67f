"""modified eCommerce Shopsoftware 2 and 3."""

from daemon.shops.dialects.dialect import Dialect

DIALECT = Dialect(
    name="modified",
    title="modified 2/3",
    baskets="php",
    clock="php",
    options="braces",
    order_values="order",
    images="images/product_images/info_images/",
    product_page="product_info.php?products_id={id}",
    cart_page="shopping_cart.php",
    extra={
        "customers": ("customers_telephone", "customers_status", "account_type"),
        "newsletter_recipients": (
            "customers_email_address",
            "mail_status",
            "date_added",
            "ip_date_added",
            "date_confirmed",
            "ip_date_confirmed",
        ),
        "orders": ("language",),
        "specials": ("start_date",),
    },
    parts={
        "guest": "c.account_type = 1",
        "shut": "c.customers_status = 0",  # administrators
        "group": "c.customers_status",
        "special_started": "(s.start_date IS NULL OR s.start_date <= :wall)",
        "language_key": "o.language",
        "signed_from": "r.ip_date_added",
        "confirmed": "r.date_confirmed",
        "confirmed_from": "r.ip_date_confirmed",
        "by_admin": "0",
    },
    recipients="confirmed",
    groups=True,
    guests=True,
)
